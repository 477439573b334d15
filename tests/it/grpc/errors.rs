//! gRPC: the status of each call that fails, and what it reveals.

use std::time::Duration;

use prost_types::Timestamp;
use rstest::rstest;
use serde_json::json;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::support::proto::user_service_client::UserServiceClient;
use crate::support::proto::{
    BatchGetUsersRequest, CreateUserRequest, DeleteUserRequest, GetUserRequest, ListUsersRequest, WatchUsersRequest,
};
use crate::support::{App, Db, Grpc, bearer, channel, claims, details, now, token};

fn fields(status: &Status, reason: &str) -> Vec<String> {
    let details = details(status, reason);
    let violations = &details.bad_request().unwrap_or_else(|| panic!("no BadRequest in {status:?}")).field_violations;
    violations.iter().map(|violation| violation.field.clone()).collect()
}

async fn refused_list(grpc: &mut Grpc, request: ListUsersRequest) -> Status {
    grpc.list_users(request).await.unwrap_err()
}

#[rstest]
#[tokio::test]
async fn it_names_the_fields_that_are_wrong(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let mut grpc = app.grpc();
    let status = grpc.create_user(CreateUserRequest::default()).await.unwrap_err();
    assert_eq!(
        (status.code(), fields(&status, "INVALID_USER")),
        (Code::InvalidArgument, vec!["name".into(), "email".into()])
    );
    for id in [0, -1, i64::MIN] {
        let status = grpc.get_user(GetUserRequest { id, ..Default::default() }).await.unwrap_err();
        assert_eq!((status.code(), fields(&status, "INVALID_ARGUMENT")), (Code::InvalidArgument, vec!["id".into()]));
        let delete = DeleteUserRequest { id, etag: String::new() };
        assert_eq!(grpc.delete_user(delete).await.unwrap_err().code(), Code::InvalidArgument);
    }
    let usual = ListUsersRequest::default;
    let cases = [
        ("page_size", ListUsersRequest { page_size: -1, ..usual() }),
        ("email", ListUsersRequest { email: Some("nobody".to_owned()), ..usual() }),
        ("name_prefix", ListUsersRequest { name_prefix: Some("a\0".to_owned()), ..usual() }),
    ];
    for (field, request) in cases {
        assert_eq!(fields(&refused_list(&mut grpc, request).await, "INVALID_ARGUMENT"), [field]);
    }
    let status = refused_list(&mut grpc, ListUsersRequest { page_token: "AAAA".to_owned(), ..usual() }).await;
    assert_eq!(fields(&status, "INVALID_PAGE_TOKEN"), ["page_token"]);
    for (field, request) in [
        ("after", WatchUsersRequest { after: Some(-1), types: vec![] }),
        ("types", WatchUsersRequest { after: None, types: vec![1, 0] }),
        ("types", WatchUsersRequest { after: None, types: vec![99] }),
    ] {
        let status = grpc.watch_users(request).await.unwrap_err();
        assert_eq!((status.code(), fields(&status, "INVALID_ARGUMENT")), (Code::InvalidArgument, vec![field.into()]));
    }
    assert!(app.everyone().await.is_empty(), "nothing was changed");
}

#[tokio::test]
async fn only_a_token_with_the_scope_will_do() {
    let app = App::start(Db::Sqlite).await;
    let mut nobody = UserServiceClient::new(channel(app.grpc_address()));
    let status = nobody.get_user(GetUserRequest { id: 1, ..Default::default() }).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    details(&status, "UNAUTHORIZED");
    let mut expired = app.grpc_with(&token(&json!({ "sub": "me", "scope": "users:read", "exp": now() - 60 })));
    let status = expired.get_user(GetUserRequest { id: 1, ..Default::default() }).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unauthenticated, "the token has expired"));
    details(&status, "INVALID_TOKEN");
    let mut reader = app.grpc_with(&token(&claims("users:read")));
    let mut writer = app.grpc_with(&token(&claims("users:write")));
    let create =
        || CreateUserRequest { name: "John".to_owned(), email: "john@example.com".to_owned(), ..Default::default() };
    let refusals = [
        reader.create_user(create()).await.unwrap_err(),
        reader.update_user(crate::support::proto::UpdateUserRequest::default()).await.unwrap_err(),
        reader.delete_user(DeleteUserRequest::default()).await.unwrap_err(),
        writer.get_user(GetUserRequest { id: 1, ..Default::default() }).await.unwrap_err(),
        writer.batch_get_users(BatchGetUsersRequest::default()).await.unwrap_err(),
        writer.list_users(ListUsersRequest::default()).await.unwrap_err(),
        writer.watch_users(WatchUsersRequest::default()).await.unwrap_err(),
    ];
    for status in refusals {
        assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
        details(&status, "INSUFFICIENT_SCOPE");
    }
    writer.create_user(create()).await.unwrap();
    reader.get_user(GetUserRequest { id: 1, ..Default::default() }).await.unwrap();
    let mut two = Request::new(GetUserRequest { id: 1, ..Default::default() });
    for token in [&*crate::support::TOKEN, "another"] {
        two.metadata_mut().append("authorization", bearer(token));
    }
    assert_eq!(nobody.get_user(two).await.unwrap_err().code(), Code::Unauthenticated, "two tokens count as none");
    let metrics = app.metrics().await;
    assert_eq!(metrics.sum("auth_failures_total", &[("reason", "insufficient_scope")]), 7);
    assert_eq!(metrics.sum("auth_failures_total", &[("reason", "expired")]), 1);
}

#[tokio::test]
async fn a_client_that_calls_too_often_is_told_when_to_come_back() {
    let app = App::start_with(Db::Sqlite, &[("RATE_LIMIT", "1"), ("RATE_BURST", "2")]).await;
    let mut grpc = app.grpc_with(&token(&claims("users:read")));
    let mut refused = None;
    for _ in 0..4 {
        refused = grpc.list_users(ListUsersRequest::default()).await.err().or(refused);
    }
    let status = refused.expect("a refusal");
    assert_eq!(status.code(), Code::ResourceExhausted);
    let delay = details(&status, "TOO_MANY_REQUESTS").retry_info().unwrap().retry_delay.unwrap();
    assert!((1..=2).contains(&delay.as_secs()), "{delay:?}");
}

/// Calls a method with the message of another method.
async fn call<T: prost::Message + 'static>(app: &App, path: &'static str, message: T) -> Status {
    let mut grpc = tonic::client::Grpc::new(channel(app.grpc_address()));
    grpc.ready().await.unwrap();
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", bearer(&crate::support::TOKEN));
    let codec = ProstCodec::<T, Timestamp>::default();
    grpc.unary(request, PathAndQuery::from_static(path), codec).await.unwrap_err()
}

#[tokio::test]
async fn what_is_malformed_is_its_callers_fault() {
    let app = App::start(Db::Sqlite).await;
    let not_a_name = CreateUserRequest { name: "\u{fc}".repeat(100), email: String::new(), ..Default::default() };
    // Field 1 of `GetUserRequest` is a number.
    let status = call(&app, "/users.v1.UserService/GetUser", not_a_name).await;
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    details(&status, "MALFORMED_MESSAGE");
    let long = CreateUserRequest { name: "n".repeat(70_000), email: String::new(), ..Default::default() };
    let status = call(&app, "/users.v1.UserService/CreateUser", long).await;
    assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, "the message has more than 65536 bytes"));
    details(&status, "MESSAGE_TOO_LARGE");
    for path in ["/users.v1.UserService/Nothing", "/users.v2.UserService/GetUser", "/users.v1.UserService/GetUser/"] {
        let status = call(&app, path, GetUserRequest { id: 1, ..Default::default() }).await;
        assert_eq!(status.code(), Code::Unimplemented, "{path}");
        details(&status, "UNIMPLEMENTED");
    }
    let metrics = app.metrics().await;
    assert_eq!(metrics.sum("grpc_requests_total", &[("method", "unmatched")]), 3);
    assert_eq!(metrics.sum("grpc_requests_total", &[("code", "INTERNAL")]), 0);
    let methods = metrics.pairs("grpc_requests_total", "method", "code");
    assert!(methods.iter().all(|(method, _)| !method.contains("Nothing") && !method.contains("v2")), "{methods:?}");
}

#[tokio::test]
async fn a_timeout_that_cannot_be_read_is_refused() {
    let app = App::start(Db::Sqlite).await;
    let mut grpc = app.grpc();
    for timeout in ["1", "soon", "-1S", "123456789S"] {
        let mut request = Request::new(GetUserRequest { id: 1, ..Default::default() });
        request.metadata_mut().insert("grpc-timeout", timeout.parse().unwrap());
        let status = grpc.get_user(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{timeout}");
        details(&status, "INVALID_TIMEOUT");
    }
    let mut request = Request::new(GetUserRequest { id: 1, ..Default::default() });
    request.set_timeout(Duration::from_hours(20_000));
    assert_eq!(grpc.get_user(request).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn a_call_is_known_by_its_callers_id() {
    let app = App::start(Db::Sqlite).await;
    let mut grpc = app.grpc();
    let mut call = async |id: &'static str| {
        let mut request = Request::new(ListUsersRequest::default());
        request.metadata_mut().insert("x-request-id", id.parse().unwrap());
        let answer = grpc.list_users(request).await.unwrap();
        answer.metadata().get("x-request-id").unwrap().to_str().unwrap().to_owned()
    };
    assert_eq!(call("mine-1").await, "mine-1");
    let made = call("not sane").await;
    assert!(made.len() == 32 && made.bytes().all(|byte| byte.is_ascii_hexdigit()), "{made}");
}
