//! External ids, status and attributes with the client, against the real server.

use futures::{StreamExt as _, TryStreamExt as _};
use rstest::rstest;
use serde_json::{Map, Value, json};
use user_service_client::{Client, Code, Error, ListUsers, Status, User, UserFields, UserPatch, WatchUsers};

use crate::support::{App, Db, Speaks};

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(members) = value else { panic!("{value} is no object") };
    members
}

fn ada() -> UserFields {
    let address = json!({ "city": "Rome", "zip": "00100" });
    let ada = UserFields::new("Ada", "ada@example.com").external_id("hr-1").status(Status::Disabled);
    ada.attribute("department", "Sales").attribute("address", address)
}

async fn list(client: &Client, list: ListUsers) -> Vec<User> {
    client.list_users(list).try_collect().await.unwrap()
}

#[rstest]
#[tokio::test]
async fn a_profile_comes_back_as_it_was_sent(
    #[values(Db::Sqlite, Db::Postgres)] db: Db,
    #[values(Speaks::Rest, Speaks::Grpc)] speaks: Speaks,
) {
    let app = App::start(db).await;
    let client = speaks.client(&app);
    let john = client.create_user(&UserFields::new("John", "john@example.com")).await.unwrap();
    assert_eq!((&john.external_id, john.status, john.attributes.len()), (&None, Status::Active, 0));
    let created = client.create_user(&ada()).await.unwrap();
    assert_eq!((created.external_id.as_deref(), created.status), (Some("hr-1"), Status::Disabled));
    assert_eq!(Some(&created.attributes), ada().attributes.as_ref());
    assert_eq!(client.get_user(created.id).await.unwrap(), created);

    let only_ada = std::slice::from_ref(&created);
    assert_eq!(list(&client, ListUsers::new().external_id("hr-1")).await, only_ada);
    assert_eq!(list(&client, ListUsers::new().status(Status::Disabled)).await, only_ada);
    assert_eq!(list(&client, ListUsers::new().status(Status::Active)).await, std::slice::from_ref(&john));
    assert_eq!(list(&client, ListUsers::new().external_id("HR-1")).await, []);
    let export = client.export_users(ListUsers::new()).await.unwrap();
    assert_eq!(export.users.try_collect::<Vec<_>>().await.unwrap(), [john, created.clone()]);

    let events = client.watch_users(WatchUsers::new().after(0));
    let events = events.try_filter_map(async |notice| Ok(notice.event)).take(2).try_collect::<Vec<_>>().await.unwrap();
    assert!(events.iter().all(|event| event.knows_profile), "{events:?}");
    assert_eq!(events[1].user.as_ref(), Some(&created));
}

#[rstest]
#[tokio::test]
async fn a_patch_merges_and_removes(
    #[values(Db::Sqlite, Db::Postgres)] db: Db,
    #[values(Speaks::Rest, Speaks::Grpc)] speaks: Speaks,
) {
    let app = App::start(db).await;
    let client = speaks.client(&app);
    let id = client.create_user(&ada()).await.unwrap().id;
    let patch = async |patch: UserPatch| client.patch_user(id, &patch, None).await.unwrap();

    let merged =
        patch(UserPatch::default().attributes(json!({ "department": null, "address": { "zip": null } }))).await;
    assert_eq!(merged.attributes, object(json!({ "address": { "city": "Rome" } })));
    assert_eq!((merged.external_id.as_deref(), merged.status), (Some("hr-1"), Status::Disabled));
    let renamed = patch(UserPatch::default().name("Ada II").external_id("hr-2").status(Status::Active)).await;
    assert_eq!((renamed.external_id.as_deref(), renamed.status), (Some("hr-2"), Status::Active));
    assert_eq!(renamed.attributes, merged.attributes);

    // An update leaves what it does not name, and replaces attributes.
    let same = client.update_user(id, &UserFields::new("Ada", "ada@example.com"), None).await.unwrap();
    assert_eq!((&same.external_id, &same.attributes), (&renamed.external_id, &renamed.attributes));
    let replaced = UserFields::new("Ada", "ada@example.com").attribute("team", 7);
    let replaced = client.update_user(id, &replaced, None).await.unwrap();
    assert_eq!(replaced.attributes, object(json!({ "team": 7 })));

    let bare = patch(UserPatch::default().remove_external_id().remove_attributes()).await;
    assert_eq!((&bare.external_id, bare.attributes.len(), bare.name.as_str()), (&None, 0, "Ada"));
    assert_eq!(client.get_user(id).await.unwrap(), bare);
}

#[rstest]
#[tokio::test]
async fn what_is_wrong_with_a_profile_has_a_pointer(
    #[values(Db::Sqlite, Db::Postgres)] db: Db,
    #[values(Speaks::Rest, Speaks::Grpc)] speaks: Speaks,
) {
    let app = App::start(db).await;
    let client = speaks.client(&app);
    client.create_user(&ada()).await.unwrap();
    let taken = client.create_user(&UserFields::new("Eve", "eve@example.com").external_id("hr-1")).await.unwrap_err();
    assert_eq!(taken.code(), Some(&Code::ExternalIdTaken));
    let deep = json!({ "b": { "c": { "d": { "e": 1 } } } });
    let wrong = UserFields::new("Eve", "eve@example.com").external_id("").attribute("a", deep);
    let error: Error = client.create_user(&wrong).await.unwrap_err();
    let problem = error.problem().unwrap();
    assert_eq!(problem.code, Code::InvalidUser);
    let fields = Vec::from_iter(problem.fields.iter().map(|wrong| wrong.field.as_str()));
    assert_eq!(fields, ["external_id", "attributes"], "{problem:?}");
    assert!(problem.fields[1].pointer.starts_with("/attributes/a/b"), "{problem:?}");
}

#[rstest]
#[tokio::test]
async fn a_list_is_filtered_by_attributes(
    #[values(Db::Sqlite, Db::Postgres)] db: Db,
    #[values(Speaks::Rest, Speaks::Grpc)] speaks: Speaks,
) {
    let app = App::start_with(db, &[("ATTRIBUTES_INDEXED", "department,desk")]).await;
    let client = speaks.client(&app);
    let mut ids = Vec::new();
    for (n, (department, desk)) in [("R&D", "a=1"), ("R&D", "b"), ("HR", "b"), ("R&D", "b")].into_iter().enumerate() {
        let user = UserFields::new("N", format!("{n}@example.com")).attribute("department", department);
        ids.push(client.create_user(&user.attribute("desk", desk)).await.unwrap().id);
    }
    app.indexed().await;
    let found = async |filter: ListUsers| Vec::from_iter(list(&client, filter).await.into_iter().map(|user| user.id));
    let developers = || ListUsers::new().attribute("department", "R&D").page_size(1);
    assert_eq!(found(developers()).await, [ids[0], ids[1], ids[3]]);
    assert_eq!(found(developers().attribute("desk", "b")).await, [ids[1], ids[3]]);
    assert_eq!(found(developers().attribute("desk", "a=1")).await, [ids[0]]);
    let export = client.export_users(developers()).await.unwrap().users.try_collect::<Vec<_>>().await.unwrap();
    assert_eq!(export.len(), 3);
    let Err(Error::Problem(problem)) = client.list_users(ListUsers::new().attribute("color", "x")).try_next().await
    else {
        panic!("the list is not refused");
    };
    assert!(problem.detail.contains("color"), "{problem}");
}
