//! Idempotency keys in the metadata of calls.

use rstest::rstest;
use tonic::{Code, Request, Response};

use crate::support::proto::{CreateUserRequest, DeleteUserRequest, UpdateUserRequest};
use crate::support::{Answered, App, Db, details, user};

fn with_key<T>(message: T, key: &'static str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("idempotency-key", key.parse().unwrap());
    request
}

/// Whether a response is a repetition, and what is in it.
fn of<T>(response: Response<T>) -> (bool, T) {
    let replayed = response.metadata().get("idempotency-replayed").map(|value| value.to_str().unwrap() == "true");
    (replayed.unwrap_or(false), response.into_inner())
}

#[rstest]
#[tokio::test]
async fn every_write_is_executed_once(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let mut grpc = app.grpc();
    let create = || CreateUserRequest { name: "John".into(), email: "john@example.com".into(), ..Default::default() };
    let update = || UpdateUserRequest { id: 1, name: "Joe".into(), ..UpdateUserRequest::default() };
    let delete = || DeleteUserRequest { id: 1, ..DeleteUserRequest::default() };
    let created = of(grpc.create_user(with_key(create(), "c")).await.unwrap());
    assert_eq!((false, 1), (created.0, created.1.user.as_ref().unwrap().id));
    let updated = of(grpc.update_user(with_key(update(), "u")).await.unwrap());
    assert_eq!((false, 2), (updated.0, updated.1.user.as_ref().unwrap().version));
    assert_eq!(of(grpc.update_user(with_key(update(), "u")).await.unwrap()), (true, updated.1));
    assert!(!of(grpc.delete_user(with_key(delete(), "d")).await.unwrap()).0);
    assert!(of(grpc.delete_user(with_key(delete(), "d")).await.unwrap()).0);
    assert_eq!(of(grpc.create_user(with_key(create(), "c")).await.unwrap()), (true, created.1));
    assert_eq!(app.everyone().await.len(), 0);
}

#[tokio::test]
async fn a_key_that_was_used_otherwise_or_is_malformed_is_refused() {
    let app = App::start(Db::Sqlite).await;
    let mut grpc = app.grpc();
    let create = |email: &str| CreateUserRequest { name: "John".into(), email: email.into(), ..Default::default() };
    grpc.create_user(with_key(create("john@example.com"), "k")).await.unwrap();
    let reused = grpc.create_user(with_key(create("jane@example.com"), "k")).await.unwrap_err();
    assert_eq!(reused.code(), Code::InvalidArgument);
    details(&reused, "IDEMPOTENCY_KEY_REUSED");
    let malformed = grpc.create_user(with_key(create("jane@example.com"), "a b")).await.unwrap_err();
    assert_eq!(malformed.code(), Code::InvalidArgument);
    // REST is another route.
    let by_rest = app.post("/api/v2/users", &user("John", "john@example.com")).header("idempotency-key", "k");
    by_rest.answer().await.problem(422, "idempotency_key_reused");
    assert_eq!(app.everyone().await.len(), 1);
}
