//! gRPC: every method, on the same users as REST.

use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};
use tonic::{Code, Request};

use crate::support::proto::{
    BatchGetUsersRequest, CreateUserRequest, DeleteUserRequest, GetUserRequest, ListUsersRequest, UpdateUserRequest,
    User,
};
use crate::support::{Answered, App, Db, Grpc, details, until, user};

async fn create(grpc: &mut Grpc, name: &str, email: &str) -> User {
    let request = CreateUserRequest { name: name.to_owned(), email: email.to_owned(), ..Default::default() };
    grpc.create_user(request).await.unwrap().into_inner().user.unwrap()
}

async fn get(grpc: &mut Grpc, id: i64) -> User {
    grpc.get_user(GetUserRequest { id, ..Default::default() }).await.unwrap().into_inner().user.unwrap()
}

/// A user as version 2 of REST shows it.
fn as_json(user: &User) -> Value {
    let time = |at: &Option<prost_types::Timestamp>| {
        let at = at.as_ref().unwrap();
        let at = chrono::DateTime::from_timestamp(at.seconds, u32::try_from(at.nanos).unwrap()).unwrap();
        at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
    };
    json!({
        "id": user.id, "name": user.name, "email": user.email, "version": user.version,
        "created_at": time(&user.created_at), "updated_at": time(&user.updated_at),
    })
}

#[rstest]
#[tokio::test]
async fn it_serves_the_users_that_rest_serves(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let mut grpc = app.grpc();
    let john = create(&mut grpc, " John ", "John@example.com").await;
    assert_eq!((john.id, john.name.as_str(), john.version, john.etag.as_str()), (1, "John", 1, "\"1\""));
    let by_rest = app.get("/api/v2/users/1").answer().await;
    assert_eq!(by_rest.header("etag"), john.etag);
    assert_eq!(by_rest.body(200), as_json(&john));
    let jane = app.create("Jane", "jane@example.com").await;
    assert_eq!(as_json(&get(&mut grpc, 2).await), jane);
    let patched = app.patch("/api/v2/users/2", &json!({ "name": "Janet" })).answer().await.body(200);
    assert_eq!(as_json(&get(&mut grpc, 2).await), patched);
}

#[rstest]
#[tokio::test]
async fn several_are_got_at_once(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let mut grpc = app.grpc();
    for name in ["a", "b", "c"] {
        create(&mut grpc, name, &format!("{name}@example.com")).await;
    }
    let mut batch = async |ids: &[i64]| {
        let answer = grpc
            .batch_get_users(BatchGetUsersRequest { ids: ids.to_vec(), emails: Vec::new(), ..Default::default() })
            .await?
            .into_inner();
        Ok::<_, tonic::Status>(Vec::from_iter(answer.users.iter().map(|user| user.id)))
    };
    assert_eq!(batch(&[3, 99, 1, 3]).await.unwrap(), [3, 1, 3], "in the order of the request, without missing users");
    assert_eq!(batch(&[]).await.unwrap(), [0; 0]);
    assert_eq!(batch(&Vec::from_iter(1..=1000)).await.unwrap(), [1, 2, 3]);
    for ids in [Vec::from_iter(1..=1001), vec![1, 0], vec![-1]] {
        let status = batch(&ids).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{ids:?}");
        let details = details(&status, "INVALID_ARGUMENT");
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, "ids");
    }
}

#[rstest]
#[tokio::test]
async fn pages_go_on_from_one_protocol_to_the_other(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let mut grpc = app.grpc();
    for name in ["Ada", "adam", "Bob", "ADA", "Eve"] {
        create(&mut grpc, name, &format!("{}@example.com", app.everyone().await.len())).await;
    }
    let named = |prefix: &str| ListUsersRequest {
        name_prefix: Some(prefix.to_owned()),
        page_size: 2,
        include_total: true,
        ..ListUsersRequest::default()
    };
    let first = grpc.list_users(named("ada")).await.unwrap().into_inner();
    assert_eq!((first.users.iter().map(|user| user.id).collect::<Vec<_>>(), first.total), (vec![1, 4], Some(3)));
    let path = format!("/api/v2/users?name_prefix=ada&page_token={}", first.next_page_token);
    let second = app.get(&path).answer().await.body(200);
    assert_eq!((&second["users"][0]["name"], second["users"].as_array().unwrap().len()), (&json!("adam"), 1));
    assert_eq!(second.get("next_page_token"), None);
    let page = app.get("/api/v2/users?page_size=3").answer().await.body(200);
    let page_token = page["next_page_token"].as_str().unwrap().to_owned();
    let rest = ListUsersRequest { page_token: page_token.clone(), ..ListUsersRequest::default() };
    let rest = grpc.list_users(rest).await.unwrap().into_inner();
    assert_eq!(rest.users.iter().map(|user| user.id).collect::<Vec<_>>(), [4, 5]);
    assert_eq!((rest.next_page_token.as_str(), rest.total), ("", None));
    let by_email = ListUsersRequest { email: Some("1@EXAMPLE.com".to_owned()), ..ListUsersRequest::default() };
    assert_eq!(grpc.list_users(by_email).await.unwrap().into_inner().users[0].name, "adam");
    let others = ListUsersRequest { page_token, ..named("ada") };
    let status = grpc.list_users(others).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(details(&status, "INVALID_PAGE_TOKEN").bad_request().unwrap().field_violations[0].field, "page_token");
    let all = ListUsersRequest { page_size: i32::MAX, ..ListUsersRequest::default() };
    assert_eq!(grpc.list_users(all).await.unwrap().into_inner().users.len(), 5, "more than 100 is 100");
}

fn update(id: i64, name: &str, email: &str, mask: Option<&[&str]>, etag: &str) -> UpdateUserRequest {
    let paths = |paths: &[&str]| prost_types::FieldMask { paths: paths.iter().map(|&path| path.to_owned()).collect() };
    let (name, email, etag) = (name.to_owned(), email.to_owned(), etag.to_owned());
    UpdateUserRequest { id, name, email, update_mask: mask.map(paths), etag, ..Default::default() }
}

#[rstest]
#[tokio::test]
async fn an_update_sets_what_its_mask_names(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let mut grpc = app.grpc();
    create(&mut grpc, "John", "john@example.com").await;
    let mut updated = async |request: UpdateUserRequest| {
        let user = grpc.update_user(request).await.unwrap().into_inner().user.unwrap();
        (user.name, user.email, user.version)
    };
    let is = |name: &str, email: &str, version| (name.to_owned(), email.to_owned(), version);
    assert_eq!(updated(update(1, "Jim", "jim@x.org", Some(&["name"]), "")).await, is("Jim", "john@example.com", 2));
    assert_eq!(
        updated(update(1, "", "jim@x.org", None, "")).await,
        is("Jim", "jim@x.org", 3),
        "fields that are not empty"
    );
    assert_eq!(updated(update(1, "J", "j@x.org", Some(&["*"]), "\"3\"")).await, is("J", "j@x.org", 4));
    assert_eq!(
        updated(update(1, "Joe", "", Some(&[]), "*")).await,
        is("Joe", "j@x.org", 5),
        "an empty mask counts as no mask"
    );
    assert_eq!(
        updated(update(1, "", "", None, "")).await,
        is("Joe", "j@x.org", 6),
        "an update without fields raises the version"
    );
    let mut refused = async |request| grpc.update_user(request).await.unwrap_err();
    let status = refused(update(1, "", "no", Some(&["name", "email"]), "")).await;
    let details = details(&status, "INVALID_USER");
    let fields = Vec::from_iter(details.bad_request().unwrap().field_violations.iter().map(|it| it.field.as_str()));
    assert_eq!((status.code(), fields), (Code::InvalidArgument, vec!["name", "email"]));
    let status = refused(update(1, "J", "", Some(&["id"]), "")).await;
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(app.get("/api/v2/users/1").answer().await.body(200)["version"], 6, "nothing was changed");
}

#[rstest]
#[tokio::test]
async fn what_is_stale_is_not_changed(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let mut grpc = app.grpc();
    let john = create(&mut grpc, "John", "john@example.com").await;
    app.patch("/api/v2/users/1", &json!({ "name": "Jim" })).answer().await.expect(200);
    let status = grpc.update_user(update(1, "J", "", None, &john.etag)).await.unwrap_err();
    assert_eq!(status.code(), Code::Aborted);
    details(&status, "VERSION_MISMATCH");
    let delete = |etag: &str| DeleteUserRequest { id: 1, etag: etag.to_owned() };
    assert_eq!(grpc.delete_user(delete(&john.etag)).await.unwrap_err().code(), Code::Aborted);
    assert_eq!(
        grpc.delete_user(delete("W/\"2\"")).await.unwrap_err().code(),
        Code::Aborted,
        "a weak tag never matches"
    );
    assert_eq!(grpc.delete_user(delete("2")).await.unwrap_err().code(), Code::InvalidArgument, "a tag without quotes");
    grpc.delete_user(delete("\"2\"")).await.unwrap();
    for status in [
        grpc.delete_user(delete("")).await.unwrap_err(),
        grpc.get_user(GetUserRequest { id: 1, ..Default::default() }).await.unwrap_err(),
        grpc.update_user(update(1, "J", "", None, "")).await.unwrap_err(),
    ] {
        assert_eq!(status.code(), Code::NotFound);
        details(&status, "USER_NOT_FOUND");
    }
}

#[rstest]
#[tokio::test]
async fn an_email_is_taken_whichever_protocol_took_it(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let mut grpc = app.grpc();
    create(&mut grpc, "John", "john@example.com").await;
    app.post("/api/v2/users", &user("Jim", "JOHN@example.com")).answer().await.problem(409, "email_taken");
    let request =
        CreateUserRequest { name: "Jim".to_owned(), email: "John@Example.com".to_owned(), ..Default::default() };
    let status = grpc.create_user(request).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::AlreadyExists, "another user has this email"));
    details(&status, "EMAIL_TAKEN");
    assert_eq!(app.everyone().await.len(), 1);
}

#[rstest]
#[tokio::test]
async fn metadata_says_how_fresh_an_answer_is(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start_with(db, &[("MAX_STALENESS", "60s")]).await;
    let mut grpc = app.grpc();
    let create =
        CreateUserRequest { name: "John".to_owned(), email: "john@example.com".to_owned(), ..Default::default() };
    let created = grpc.create_user(create).await.unwrap();
    let position = created.metadata().get("events-position").expect("a position").clone();
    let get = |at_least: &str, cache_control: &'static str| {
        let mut request = Request::new(GetUserRequest { id: 1, ..Default::default() });
        request.metadata_mut().insert("at-least-position", at_least.parse().unwrap());
        request.metadata_mut().insert("cache-control", cache_control.parse().unwrap());
        request
    };
    let known = position.to_str().unwrap();
    let read = grpc.get_user(get(known, "no-cache")).await.unwrap();
    assert_eq!((read.metadata().get("events-position"), read.metadata().get("age")), (Some(&position), None));
    if matches!(db, Db::Postgres) {
        until("the answer may be stale", Duration::from_secs(20), async || {
            let answer = grpc.get_user(get(known, "max-stale")).await.unwrap();
            answer.metadata().get("age").is_some_and(|age| age.to_str().unwrap().parse::<u64>().unwrap() >= 1)
        })
        .await;
    }
    let failure = grpc.get_user(get("1000", "")).await.unwrap_err();
    assert_eq!(failure.code(), Code::OutOfRange);
    details(&failure, "EVENTS_GONE");
    assert_eq!(grpc.get_user(get("x", "")).await.unwrap_err().code(), Code::InvalidArgument);
    let listed = grpc.list_users(ListUsersRequest::default()).await.unwrap();
    assert_eq!(listed.metadata().get("events-position"), Some(&position));
    let several = grpc
        .batch_get_users(BatchGetUsersRequest { ids: vec![2, 1], emails: Vec::new(), ..Default::default() })
        .await
        .unwrap();
    assert_eq!(several.metadata().get("events-position"), Some(&position));
    let deleted = grpc.delete_user(DeleteUserRequest { id: 1, etag: String::new() }).await.unwrap();
    assert_ne!(deleted.metadata().get("events-position").expect("a position"), position);
}
