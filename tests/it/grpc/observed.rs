//! gRPC: metrics, traces and the access log.

use rstest::rstest;
use tonic::{Code, Request};

use crate::support::proto::{CreateUserRequest, GetUserRequest, ListUsersRequest, WatchUsersRequest};
use crate::support::{App, Db, Otlp, details, until};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
const SERVER: i32 = 2;
const GET: &str = "users.v1.UserService/GetUser";
const WATCH: &str = "users.v1.UserService/WatchUsers";

#[rstest]
#[tokio::test]
async fn calls_are_counted_by_method_and_code(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let counted = async |method: &str, code: &str| {
        app.metrics().await.sum("grpc_requests_total", &[("method", method), ("code", code)])
    };
    let metrics = app.metrics().await;
    assert!(metrics.has("grpc_requests_total", &[("method", GET), ("code", "OK")]), "the series starts at zero");
    assert!(metrics.has("grpc_request_duration_seconds_count", &[("method", GET), ("code", "OK")]));
    let mut grpc = app.grpc();
    for _ in 0..2 {
        assert_eq!(
            grpc.get_user(GetUserRequest { id: 1, ..Default::default() }).await.unwrap_err().code(),
            Code::NotFound
        );
    }
    grpc.list_users(ListUsersRequest::default()).await.unwrap();
    assert_eq!(counted(GET, "NOT_FOUND").await, 2);
    assert_eq!(counted("users.v1.UserService/ListUsers", "OK").await, 1);
    let watch = grpc.watch_users(WatchUsersRequest::default()).await.unwrap();
    assert_eq!(app.metrics().await.value("grpc_requests_in_flight"), 1.0);
    assert_eq!(counted(WATCH, "OK").await + counted(WATCH, "CANCELLED").await, 0, "the stream has not ended");
    drop(watch);
    let soon = std::time::Duration::from_secs(15);
    until("the stream is counted", soon, async || counted(WATCH, "CANCELLED").await == 1).await;
    assert_eq!(app.metrics().await.value("grpc_requests_in_flight"), 0.0);
    let pairs = app.metrics().await.pairs("grpc_request_duration_seconds_count", "method", "code");
    assert!(
        pairs.iter().all(|(method, _)| method != WATCH),
        "a stream's duration is the client's choice, so no metric measures it: {pairs:?}"
    );
}

#[rstest]
#[tokio::test]
async fn a_call_is_part_of_its_callers_trace(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let otlp = Otlp::start();
    let vars = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", otlp.endpoint.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ("OTEL_TRACES_SAMPLER", "parentbased_always_off"),
    ];
    let app = App::start_with(db, &vars).await;
    let mut grpc = app.grpc();
    let sampled = |request: CreateUserRequest| {
        let mut request = Request::new(request);
        request.metadata_mut().insert("traceparent", format!("00-{TRACE}-{PARENT}-01").parse().unwrap());
        request
    };
    let john =
        CreateUserRequest { name: "John".to_owned(), email: "john@example.com".to_owned(), ..Default::default() };
    grpc.create_user(sampled(john.clone())).await.unwrap();
    let spans = otlp.wait(4).await;
    let call = spans.iter().find(|span| span.name == "users.v1.UserService/CreateUser").expect("the call's span");
    assert_eq!((call.trace_id.as_str(), call.parent.as_str(), call.kind, call.status), (TRACE, PARENT, SERVER, 0));
    let attributes = [
        ("rpc.system.name", "grpc"),
        ("rpc.method", "users.v1.UserService/CreateUser"),
        ("rpc.response.status_code", "OK"),
    ];
    for (name, value) in attributes {
        assert_eq!(call.attributes.get(name).map(String::as_str), Some(value), "{name} of {call:#?}");
    }
    let use_case = spans.iter().find(|span| span.name == "create_user").expect("the use case's span");
    assert_eq!((&use_case.trace_id, &use_case.parent), (&call.trace_id, &call.span_id));
    let status = grpc.create_user(sampled(john)).await.unwrap_err();
    let details = details(&status, "EMAIL_TAKEN");
    assert_eq!(details.error_info().unwrap().metadata["trace_id"], TRACE);
}

#[tokio::test]
async fn a_call_has_a_line_where_that_is_wanted() {
    let app = App::start_with(Db::Sqlite, &[("ACCESS_LOG", "all"), ("LOG_FORMAT", "json")]).await;
    let mut request = Request::new(GetUserRequest { id: 1, ..Default::default() });
    request.metadata_mut().insert("x-request-id", "mine".parse().unwrap());
    app.grpc().get_user(request).await.unwrap_err();
    let line = || app.log().lines().find(|line| line.contains("GetUser")).map(str::to_owned);
    until("a line about the call", std::time::Duration::from_secs(10), async || line().is_some()).await;
    let line: serde_json::Value = serde_json::from_str(&line().unwrap()).unwrap();
    let told =
        ["target", "method", "route", "status", "request_id"].map(|name| line[name].as_str().unwrap_or_default());
    assert_eq!(told, ["user_service::access_log", "gRPC", GET, "NOT_FOUND", "mine"], "{line}");
}
