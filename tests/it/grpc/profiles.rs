//! External ids, statuses, attributes, orders and read masks over gRPC.

use prost_types::FieldMask;
use rstest::rstest;
use serde_json::{Value, json};
use tonic::{Code, Status};

use crate::support::proto::{
    BatchGetUsersRequest, CreateUserRequest, GetUserRequest, ListUsersRequest, UpdateUserRequest, User, UserStatus,
};
use crate::support::{Answered, App, Db, Grpc, details};

fn john() -> CreateUserRequest {
    CreateUserRequest {
        name: "John".into(),
        email: "john@example.com".into(),
        external_id: Some("x".into()),
        status: UserStatus::Disabled.into(),
        attributes: r#"{"b":[1.10],"a":{"c":1,"d":null}}"#.into(),
    }
}

fn paths(paths: &[&str]) -> FieldMask {
    FieldMask { paths: paths.iter().map(|&path| path.to_owned()).collect() }
}

async fn update(grpc: &mut Grpc, update: UpdateUserRequest) -> Result<User, Status> {
    Ok(grpc.update_user(UpdateUserRequest { id: 1, ..update }).await?.into_inner().user.unwrap())
}

fn profile(user: &User) -> (Option<&str>, UserStatus, &str) {
    (user.external_id.as_deref(), user.status(), &user.attributes)
}

/// The field that a status complains about.
fn field(status: &Status, code: Code, reason: &str) -> String {
    assert_eq!(status.code(), code, "{status:?}");
    details(status, reason).bad_request().unwrap().field_violations[0].field.clone()
}

#[rstest]
#[tokio::test]
async fn a_profile_is_set_merged_and_removed(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let mut grpc = app.grpc();
    let john = grpc.create_user(john()).await.unwrap().into_inner().user.unwrap();
    let canonical = r#"{"a":{"c":1,"d":null},"b":[1.10]}"#;
    assert_eq!(profile(&john), (Some("x"), UserStatus::Disabled, canonical));
    assert_eq!(
        grpc.get_user(GetUserRequest { id: 1, ..Default::default() }).await.unwrap().into_inner().user,
        Some(john)
    );
    assert_eq!(
        app.get("/api/v2/users/1").answer().await.body(200)["attributes"],
        json!({ "a": { "c": 1, "d": null }, "b": [1.1] })
    );

    let patch = UpdateUserRequest {
        attributes_patch: r#"{"a":{"c":null,"e":2},"b":null}"#.into(),
        update_mask: Some(paths(&["attributes_patch"])),
        ..Default::default()
    };
    let merged = r#"{"a":{"d":null,"e":2}}"#;
    assert_eq!(profile(&update(&mut grpc, patch).await.unwrap()), (Some("x"), UserStatus::Disabled, merged));
    // A client that does not know the fields keeps them.
    let name = UpdateUserRequest {
        name: "J".into(),
        email: "j@b.co".into(),
        update_mask: Some(paths(&["*"])),
        ..Default::default()
    };
    assert_eq!(profile(&update(&mut grpc, name).await.unwrap()), (Some("x"), UserStatus::Disabled, merged));
    // Without a mask, what is filled in is set.
    let filled =
        UpdateUserRequest { external_id: Some("y".into()), attributes: "{\"f\":1}".into(), ..Default::default() };
    assert_eq!(profile(&update(&mut grpc, filled).await.unwrap()), (Some("y"), UserStatus::Disabled, "{\"f\":1}"));
    let nothing =
        UpdateUserRequest { update_mask: Some(paths(&["external_id", "status", "attributes"])), ..Default::default() };
    assert_eq!(profile(&update(&mut grpc, nothing).await.unwrap()), (None, UserStatus::Active, ""));
}

#[rstest]
#[tokio::test]
async fn what_is_wrong_is_named(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let mut grpc = app.grpc();
    grpc.create_user(john()).await.unwrap();
    let taken = CreateUserRequest { email: "other@b.co".into(), ..john() };
    let status = grpc.create_user(taken).await.unwrap_err();
    assert_eq!(field(&status, Code::AlreadyExists, "EXTERNAL_ID_TAKEN"), "external_id");
    for (wrong, name) in [
        (CreateUserRequest { external_id: Some(String::new()), ..john() }, "external_id"),
        (CreateUserRequest { attributes: "[]".into(), ..john() }, "attributes"),
        (CreateUserRequest { attributes: "{".into(), ..john() }, "attributes"),
        (CreateUserRequest { attributes: r#"{"a":{"b":"\u0000"}}"#.into(), ..john() }, "attributes.a.b"),
    ] {
        let status = grpc.create_user(wrong).await.unwrap_err();
        assert_eq!(field(&status, Code::InvalidArgument, "INVALID_USER"), name);
    }
    let status = grpc.create_user(CreateUserRequest { status: 7, ..john() }).await.unwrap_err();
    assert_eq!(field(&status, Code::InvalidArgument, "INVALID_ARGUMENT"), "status");
    for mask in [&["attributes", "attributes_patch"][..], &["attributes.a"], &["etag"]] {
        let status = update(&mut grpc, UpdateUserRequest { update_mask: Some(paths(mask)), ..Default::default() })
            .await
            .unwrap_err();
        assert_eq!(field(&status, Code::InvalidArgument, "INVALID_ARGUMENT"), "update_mask");
    }
}

#[rstest]
#[tokio::test]
async fn lists_are_filtered_ordered_and_masked(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let mut grpc = app.grpc();
    grpc.create_user(john()).await.unwrap();
    for name in ["Ann", "Zoe"] {
        app.create(name, &format!("{name}@example.com")).await;
    }
    let mut list = async |request: ListUsersRequest| {
        let users = grpc.list_users(request).await?.into_inner().users;
        Ok::<_, Status>(Vec::from_iter(users.into_iter().map(|user| user.name)))
    };
    let by = |order: &str| ListUsersRequest { order_by: order.into(), ..Default::default() };
    assert_eq!(list(by("-name")).await.unwrap(), ["Zoe", "John", "Ann"]);
    assert_eq!(list(by("email")).await.unwrap(), ["Ann", "John", "Zoe"]);
    let disabled = ListUsersRequest { status: UserStatus::Disabled.into(), ..Default::default() };
    assert_eq!(list(disabled).await.unwrap(), ["John"]);
    let external = |id: &str| ListUsersRequest { external_id: Some(id.into()), ..Default::default() };
    assert_eq!((list(external("x")).await.unwrap(), list(external("X")).await.unwrap()), (vec!["John".into()], vec![]));
    for (wrong, name) in [
        (by("version"), "order_by"),
        (external(""), "external_id"),
        (ListUsersRequest { status: -1, ..Default::default() }, "status"),
        (ListUsersRequest { read_mask: Some(paths(&["names"])), ..Default::default() }, "read_mask"),
    ] {
        assert_eq!(field(&list(wrong).await.unwrap_err(), Code::InvalidArgument, "INVALID_ARGUMENT"), name);
    }

    let mask = Some(paths(&["name", "etag", "attributes.b"]));
    let expected =
        User { name: "John".into(), etag: "\"1\"".into(), attributes: "{\"b\":[1.10]}".into(), ..Default::default() };
    let one = grpc.get_user(GetUserRequest { id: 1, read_mask: mask.clone() }).await.unwrap().into_inner();
    assert_eq!(one.user, Some(expected.clone()));
    let batch = BatchGetUsersRequest { ids: vec![1], emails: Vec::new(), read_mask: mask.clone() };
    assert_eq!(grpc.batch_get_users(batch).await.unwrap().into_inner().users, std::slice::from_ref(&expected));
    let page = ListUsersRequest { read_mask: mask, page_size: 1, ..Default::default() };
    assert_eq!(grpc.list_users(page).await.unwrap().into_inner().users, [expected]);
    let all = grpc
        .get_user(GetUserRequest { id: 1, read_mask: Some(paths(&["*"])) })
        .await
        .unwrap()
        .into_inner()
        .user
        .unwrap();
    assert_eq!(serde_json::from_str::<Value>(&all.attributes).unwrap()["b"], json!([1.1]));
}
