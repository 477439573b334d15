//! gRPC: the limits on what an unauthenticated client can take from others.

use std::time::{Duration, Instant};

use rstest::rstest;
use tokio::time::{sleep, timeout};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::support::proto::ListUsersRequest;
use crate::support::proto::user_service_client::UserServiceClient;
use crate::support::{App, Authorized, Db, Http2, TOKEN, channel, details, until};

const SOON: Duration = Duration::from_secs(15);
const CHECK: &str = "grpc.health.v1.Health/Check";
const WATCH: &str = "grpc.health.v1.Health/Watch";
const REFLECTION: &str = "grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const GET_USER: &str = "users.v1.UserService/GetUser";
/// The concurrent calls of a connection without a valid token.
const OF_A_STRANGER: usize = 4;
/// The concurrent reflection streams of all connections together.
const REFLECTIONS: usize = 32;

/// Watches the service's health, without decoding the messages.
async fn watch(on: &Channel) -> Result<Streaming<()>, Status> {
    let mut grpc = tonic::client::Grpc::new(on.clone());
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static("/grpc.health.v1.Health/Watch");
    let codec = ProstCodec::<(), ()>::default();
    grpc.server_streaming(Request::new(()), path, codec).await.map(tonic::Response::into_inner)
}

/// Starts a reflection stream with these requests.
async fn reflection(
    on: &Channel,
    questions: impl futures::Stream<Item = ()> + Send + 'static,
) -> Result<Streaming<()>, Status> {
    let mut grpc = tonic::client::Grpc::new(on.clone());
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
    let codec = ProstCodec::<(), ()>::default();
    grpc.streaming(Request::new(questions), path, codec).await.map(tonic::Response::into_inner)
}

fn too_many(status: &Status) {
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert!(details(status, "TOO_MANY_CALLS").retry_info().is_some(), "{status:?}");
}

#[tokio::test]
async fn somebody_without_a_token_has_few_calls_at_once() {
    let app = App::start(Db::Sqlite).await;
    let connection = channel(app.grpc_address());
    let mut open = Vec::new();
    for _ in 0..OF_A_STRANGER {
        open.push(watch(&connection).await.unwrap());
    }
    for _ in 0..3 {
        too_many(&watch(&connection).await.unwrap_err());
    }
    open.pop();
    until("there is room again", SOON, async || match watch(&connection).await {
        Ok(another) => {
            open.push(another);
            true
        }
        Err(status) => {
            too_many(&status);
            false
        }
    })
    .await;
    // A call with a token is answered; from then on the connection counts as authenticated.
    let mut users = UserServiceClient::with_interceptor(connection.clone(), Authorized(TOKEN.clone()));
    users.list_users(ListUsersRequest::default()).await.unwrap();
    for _ in 0..3 {
        open.push(watch(&connection).await.unwrap());
    }
}

/// Even if a connection starts with a hundred calls at once.
#[tokio::test]
async fn somebody_with_a_token_has_as_many_as_there_are_streams() {
    let app = App::start(Db::Sqlite).await;
    let users = UserServiceClient::with_interceptor(channel(app.grpc_address()), Authorized(TOKEN.clone()));
    let calls = (0..100).map(|_| {
        let mut users = users.clone();
        async move { users.list_users(ListUsersRequest::default()).await.map(drop) }
    });
    let failed = Vec::from_iter(futures::future::join_all(calls).await.into_iter().filter_map(Result::err));
    assert!(failed.is_empty(), "{failed:?}");
}

/// Limits calls that do not end by themselves. The database limits the others.
#[tokio::test]
async fn all_connections_together_have_so_many_calls_at_once() {
    let app = App::start_with(Db::Sqlite, &[("MAX_CONNECTIONS", "10"), ("SERVER_WORKERS", "1")]).await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let connection = channel(app.grpc_address());
        let mut users = UserServiceClient::with_interceptor(connection.clone(), Authorized(TOKEN.clone()));
        users.list_users(ListUsersRequest::default()).await.unwrap();
        open.push((connection.clone(), Vec::new()));
        let (_, watches) = open.last_mut().unwrap();
        loop {
            match watch(&connection).await {
                Ok(another) => watches.push(another),
                Err(status) => break too_many(&status),
            }
        }
    }
    let counts = Vec::from_iter(open.iter().map(|(_, watches)| watches.len()));
    assert_eq!(counts, [OF_A_STRANGER + 10, OF_A_STRANGER]);
}

#[tokio::test]
async fn reflection_is_for_a_few() {
    let app = App::start_with(Db::Sqlite, &[("HEAD_TIMEOUT", "1m")]).await;
    let ask = async || reflection(&channel(app.grpc_address()), futures::stream::empty()).await;
    let mut crowd = Vec::new();
    until("there is no room", SOON, async || {
        let mut stranger = Http2::connect(app.grpc_address());
        stranger.call(1, REFLECTION);
        crowd.push(stranger);
        ask().await.inspect_err(too_many).is_err()
    })
    .await;
    assert!(crowd.len() >= REFLECTIONS, "{}", crowd.len());
    watch(&channel(app.grpc_address())).await.unwrap();
    drop(crowd);
    until("there is room again", SOON, async || ask().await.is_ok()).await;
}

#[tokio::test]
async fn reflection_that_says_nothing_ends() {
    let app = App::start_with(Db::Sqlite, &[("HEAD_TIMEOUT", "300ms")]).await;
    let connection = channel(app.grpc_address());
    let mut silent = reflection(&connection, futures::stream::pending()).await.unwrap();
    let end = timeout(SOON, silent.message()).await.expect("the stream ends");
    assert!(matches!(end, Ok(None)), "{end:?}");
    until("the stream is counted", SOON, async || app.metrics().await.value("grpc_requests_in_flight") == 0.0).await;
}

/// Opens a connection to an address and misuses it.
type Deed = fn(&str) -> Http2;

/// The most that a connection may take, according to docs/operations.md.
const MOST: usize = 100 << 10;
const CONNECTIONS: usize = 30;
/// How long the test measures.
const FOR: Duration = Duration::from_secs(2);
/// Memory for other buffers, which the process allocates once.
const BESIDES: usize = 2 << 20;

#[rstest]
#[case::watches(|address: &str| streams(Http2::connect(address), WATCH, b""))]
#[case::reflections(|address: &str| streams(Http2::connect(address), REFLECTION, b"\x3a\x00"))]
#[case::refused(|address: &str| streams(Http2::connect(address), GET_USER, b""))]
#[case::deaf_watches(|address: &str| streams(Http2::connect_deaf(address), WATCH, b""))]
#[case::deaf_reflections(|address: &str| streams(Http2::connect_deaf(address), REFLECTION, b"\x3a\x00"))]
#[case::deaf_and_refused(|address: &str| streams(Http2::connect_deaf(address), GET_USER, b""))]
#[case::half_messages(half_messages)]
#[case::many_headers(many_headers)]
#[case::many_headers_and_refused(many_headers_refused)]
#[case::a_head_without_end(endless_head)]
#[case::tiny_pieces(tiny_pieces)]
#[tokio::test]
async fn a_connection_of_a_stranger_takes_little(#[case] deed: Deed) {
    let app = App::start_with(Db::Sqlite, &[("KEEP_ALIVE", "1h")]).await;
    let mut grpc = app.grpc();
    grpc.list_users(ListUsersRequest::default()).await.unwrap();
    let before = app.memory();
    let connections = Vec::from_iter((0..CONNECTIONS).map(|_| deed(app.grpc_address())));
    let (begun, mut most) = (Instant::now(), 0);
    while begun.elapsed() < FOR {
        timeout(SOON, grpc.list_users(ListUsersRequest::default())).await.expect("in time").unwrap();
        most = app.memory().max(most);
        sleep(Duration::from_millis(20)).await;
    }
    let each = most.saturating_sub(before + BESIDES) / CONNECTIONS;
    assert!(each <= MOST, "{} KiB for each", each >> 10);
    drop(connections);
}

/// Opens twice as many streams as a connection may have.
fn streams(mut connection: Http2, method: &str, message: &[u8]) -> Http2 {
    for number in (1..512).step_by(2) {
        connection.call(number, method);
        connection.message(number, message);
    }
    connection
}

/// Sends messages of which the larger part never arrives.
fn half_messages(address: &str) -> Http2 {
    let mut connection = Http2::connect(address);
    for number in (1..256).step_by(2) {
        connection.call(number, CHECK);
        connection.data(number, &[0, 0, 0, 16, 0]);
        connection.data(number, &[b' '; 2000]);
    }
    connection
}

fn many_headers(address: &str) -> Http2 {
    let mut connection = Http2::connect(address);
    for number in (1..64).step_by(2) {
        connection.call_with_many_headers(number, CHECK);
    }
    connection
}

fn many_headers_refused(address: &str) -> Http2 {
    let mut connection = Http2::connect_deaf(address);
    for number in (1..64).step_by(2) {
        connection.call_with_many_headers(number, GET_USER);
    }
    connection
}

/// Begins a head without an end beside a call, so that the connection is not idle.
fn endless_head(address: &str) -> Http2 {
    let mut connection = Http2::connect(address);
    connection.call(1, CHECK);
    connection.begin_head(3, WATCH);
    connection
}

/// Sends a message in frames of one byte, each of which costs the server more than it holds.
fn tiny_pieces(address: &str) -> Http2 {
    let mut connection = Http2::connect(address);
    connection.call(1, CHECK);
    connection.data(1, &[0, 0, 0, 15, 0]);
    for _ in 0..1500 {
        connection.data(1, b" ");
    }
    connection
}

/// h2 may keep everything that it receives, so the server closes the connection after a while.
#[tokio::test]
async fn a_stranger_is_not_heard_for_ever() {
    let app = App::start(Db::Sqlite).await;
    let mut stranger = Http2::connect(app.grpc_address());
    until("the connection is closed", SOON, async || {
        (0..50).for_each(|_| stranger.pong());
        stranger.is_over()
    })
    .await;
}
