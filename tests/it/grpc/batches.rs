//! Batches over gRPC.

use rstest::rstest;
use tonic::{Code, Request};
use tonic_types::{StatusExt as _, pb};

use crate::support::proto::user_operation::Operation;
use crate::support::proto::{
    BatchGetUsersRequest, BatchWriteUsersRequest, CreateUserRequest, DeleteUserRequest, UpdateUserRequest,
    UserOperation, UserOperationResult,
};
use crate::support::{App, Db, details};

fn create(name: &str, email: &str) -> UserOperation {
    let create = CreateUserRequest { name: name.to_owned(), email: email.to_owned(), ..Default::default() };
    UserOperation { operation: Some(Operation::Create(create)) }
}

fn rename(id: i64, name: &str, etag: &str) -> UserOperation {
    let (name, etag) = (name.to_owned(), etag.to_owned());
    let update = UpdateUserRequest { id, name, etag, ..UpdateUserRequest::default() };
    UserOperation { operation: Some(Operation::Update(update)) }
}

fn delete(id: i64) -> UserOperation {
    UserOperation { operation: Some(Operation::Delete(DeleteUserRequest { id, ..DeleteUserRequest::default() })) }
}

fn batch(operations: &[UserOperation], atomic: bool) -> BatchWriteUsersRequest {
    BatchWriteUsersRequest { operations: operations.to_vec(), atomic }
}

/// The code of a refused operation, with its reason and the field at fault.
fn refusal(result: &UserOperationResult) -> (Code, String, String) {
    let error = result.error.clone().unwrap();
    // What a client makes of it that reads statuses.
    let bytes = prost::Message::encode_to_vec(&pb::Status::clone(&error));
    let status = tonic::Status::with_details(Code::from_i32(error.code), error.message, bytes.into());
    let reason = status.get_details_error_info().unwrap().reason;
    (status.code(), reason, status.get_details_bad_request().unwrap().field_violations[0].field.clone())
}

#[rstest]
#[tokio::test]
async fn each_operation_has_its_own_result(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let mut grpc = app.grpc();
    app.create("a", "a@example.com").await;
    app.create("b", "b@example.com").await;
    let operations = [
        create("c", "c@example.com"),
        rename(1, "A", "\"1\""),
        delete(2),
        create("x", "C@example.com"),
        create("", "x@example.com"),
        rename(9, "x", ""),
        rename(1, "x", "\"7\""),
    ];
    let response = grpc.batch_write_users(batch(&operations, false)).await.unwrap();
    let position: i64 = response.metadata().get("events-position").unwrap().to_str().unwrap().parse().unwrap();
    let results = response.into_inner().results;
    assert_eq!(results[0].user.as_ref().unwrap().id, 3);
    assert_eq!(results[1].user.as_ref().map(|user| (user.name.as_str(), user.version)), Some(("A", 2)));
    assert_eq!(results[2], UserOperationResult::default());
    let refused = |code, reason: &str, field: &str| (code, reason.to_owned(), field.to_owned());
    assert_eq!(refusal(&results[3]), refused(Code::AlreadyExists, "EMAIL_TAKEN", "operations[3].create.email"));
    assert_eq!(refusal(&results[4]), refused(Code::InvalidArgument, "INVALID_USER", "operations[4].create.name"));
    assert_eq!(refusal(&results[5]), refused(Code::NotFound, "USER_NOT_FOUND", "operations[5].update.id"));
    assert_eq!(refusal(&results[6]), refused(Code::Aborted, "VERSION_MISMATCH", "operations[6].update.etag"));
    assert!(position >= 5, "{position}");
    let asked = BatchGetUsersRequest {
        ids: vec![3, 2],
        emails: vec!["A@example.com".into(), "y@example.com".into()],
        ..Default::default()
    };
    let got = grpc.batch_get_users(asked).await.unwrap().into_inner();
    assert_eq!(got.users.iter().map(|user| user.id).collect::<Vec<_>>(), [3, 1]);
    assert_eq!((got.missing_ids, got.missing_emails), (vec![2], vec!["y@example.com".to_owned()]));
}

#[rstest]
#[tokio::test]
async fn an_atomic_batch_fails_as_the_operation_at_fault(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let mut grpc = app.grpc();
    app.create("a", "a@example.com").await;
    for (bad, code, reason, field) in [
        (create("x", "A@example.com"), Code::AlreadyExists, "EMAIL_TAKEN", "operations[1].create.email"),
        (create("x", "x"), Code::InvalidArgument, "INVALID_USER", "operations[1].create.email"),
        (delete(9), Code::NotFound, "USER_NOT_FOUND", "operations[1].delete.id"),
        (delete(1), Code::InvalidArgument, "INVALID_ARGUMENT", "operations[1].delete.id"),
        (rename(0, "x", ""), Code::InvalidArgument, "INVALID_ARGUMENT", "operations[1].update.id"),
        (rename(1, "x", "1"), Code::InvalidArgument, "INVALID_ARGUMENT", "operations[1].update.etag"),
        (UserOperation::default(), Code::InvalidArgument, "INVALID_ARGUMENT", "operations[1]"),
    ] {
        let status = grpc.batch_write_users(batch(&[rename(1, "A", ""), bad], true)).await.unwrap_err();
        assert_eq!(status.code(), code, "{status:?}");
        assert_eq!(details(&status, reason).bad_request().unwrap().field_violations[0].field, field);
    }
    assert_eq!(app.everyone().await[0]["version"], 1);
    let written = grpc.batch_write_users(batch(&[rename(1, "A", ""), create("b", "b@example.com")], true)).await;
    let results = written.unwrap().into_inner().results;
    assert_eq!(results.iter().map(|result| result.user.as_ref().unwrap().version).collect::<Vec<_>>(), [2, 1]);
}

#[rstest]
#[tokio::test]
async fn a_batch_with_a_key_is_executed_once(
    #[values(Db::Sqlite, Db::Postgres)] db: Db,
    #[values(false, true)] atomic: bool,
) {
    let app = App::start(db).await;
    let mut grpc = app.grpc();
    let send = |email: &str| {
        let mut request = Request::new(batch(&[create("a", email)], atomic));
        request.metadata_mut().insert("idempotency-key", "k".parse().unwrap());
        request
    };
    let first = grpc.batch_write_users(send("a@example.com")).await.unwrap().into_inner().results;
    let again = grpc.batch_write_users(send("a@example.com")).await.unwrap();
    assert_eq!(again.metadata().get("idempotency-replayed").unwrap(), "true");
    let again = again.into_inner().results;
    assert_eq!((&again[0].user, again[0].replayed, first[0].replayed), (&first[0].user, true, false));
    let reused = grpc.batch_write_users(send("b@example.com")).await.unwrap_err();
    details(&reused, "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(app.everyone().await.len(), 1);
}

#[tokio::test]
async fn a_batch_may_be_larger_than_other_messages_but_has_its_limit() {
    let app = App::start_with(Db::Sqlite, &[("MAX_BODY_BYTES", "4096")]).await;
    let mut grpc = app.grpc();
    let name = "n".repeat(100);
    let thousand = Vec::from_iter((0..1000).map(|n| create(&name, &format!("{n}@example.com"))));
    let results = grpc.batch_write_users(batch(&thousand, false)).await.unwrap().into_inner().results;
    assert!(results.iter().all(|result| result.error.is_none()));
    let too_many = [&thousand[..], &[delete(1)]].concat();
    let status = grpc.batch_write_users(batch(&too_many, false)).await.unwrap_err();
    assert_eq!(details(&status, "INVALID_ARGUMENT").bad_request().unwrap().field_violations[0].field, "operations");
    let status = grpc.batch_write_users(batch(&[create(&"n".repeat(1 << 20), "a@x.org")], false)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(details(&status, "MESSAGE_TOO_LARGE").error_info().is_some());
    assert!(status.message().contains("1048576"), "{status:?}");
}
