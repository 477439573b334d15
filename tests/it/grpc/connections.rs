//! gRPC: silent connections, deadlines, and shutdown.

use std::error::Error as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rstest::rstest;
use tempfile::TempDir;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt as _;

use crate::support::proto::user_service_client::UserServiceClient;
use crate::support::proto::{
    CreateUserRequest, CreateUserResponse, GetUserRequest, ListUsersRequest, WatchUsersRequest,
};
use crate::support::{
    App, Authority, Authorized, CLIENTS, Db, Postgres, Program, Server, TOKEN, at_once, bearer, channel, details, until,
};

const SOON: Duration = Duration::from_secs(15);
const CREATE: &str = "users.v1.UserService/CreateUser";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Whether the server has hung up.
fn is_over(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    match stream.read(&mut [0; 1024]) {
        Ok(0) => true,
        Ok(_) => false,
        Err(error) => !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
    }
}

#[rstest]
#[case::that_says_nothing(b"")]
#[case::that_begins_and_stops(&PREFACE[..10])]
#[tokio::test]
async fn a_connection_does_not_last(#[case] says: &[u8]) {
    let app = App::start_with(Db::Sqlite, &[("HEAD_TIMEOUT", "300ms")]).await;
    let mut stream = TcpStream::connect(app.grpc_address()).unwrap();
    stream.write_all(says).unwrap();
    until("the connection is closed", SOON, async || is_over(&mut stream)).await;
}

#[tokio::test]
async fn a_client_that_does_not_answer_is_not_waited_for() {
    let app = App::start_with(Db::Sqlite, &[("GRPC_PING_INTERVAL", "200ms")]).await;
    let mut stream = TcpStream::connect(app.grpc_address()).unwrap();
    // With an empty settings frame. The client never answers the server's pings.
    stream.write_all(&[PREFACE, &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat()).unwrap();
    until("the connection is closed", Duration::from_secs(20), async || is_over(&mut stream)).await;
}

#[tokio::test]
async fn another_protocol_is_not_answered() {
    let app = App::start(Db::Sqlite).await;
    let mut stream = TcpStream::connect(app.grpc_address()).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    until("the connection is closed", SOON, async || is_over(&mut stream)).await;
}

#[tokio::test]
async fn an_old_connection_is_replaced_without_a_call_that_fails() {
    let app = App::start_with(Db::Sqlite, &[("GRPC_MAX_CONNECTION_AGE", "200ms")]).await;
    let mut grpc = app.grpc();
    let begun = Instant::now();
    let mut answered = 0;
    while begun.elapsed() < Duration::from_secs(2) {
        match grpc.list_users(ListUsersRequest::default()).await {
            Ok(_) => answered += 1,
            // hyper was about to send a call when the server closed the connection. It sent nothing and reports that.
            Err(status) => assert!(never_left(&status), "{status:?}"),
        }
    }
    assert!(answered > 10, "{answered}");
}

fn never_left(status: &Status) -> bool {
    let source =
        status.source().and_then(|error| error.source()).and_then(|error| error.downcast_ref::<hyper::Error>());
    source.is_some_and(hyper::Error::is_canceled)
}

#[rstest]
#[case::that_says_nothing(b"")]
#[case::that_has_begun(PREFACE)]
#[tokio::test]
async fn a_connection_does_not_hold_up_the_end(#[case] says: &[u8]) {
    let mut app = App::start_with(Db::Sqlite, &[("HEAD_TIMEOUT", "1m")]).await;
    let mut stream = TcpStream::connect(app.grpc_address()).unwrap();
    stream.write_all(says).unwrap();
    let mut used = app.grpc();
    used.list_users(ListUsersRequest::default()).await.unwrap();
    app.signal("TERM");
    assert_eq!(app.exit(SOON).await.code(), Some(0));
    until("the connection is closed", SOON, async || is_over(&mut stream)).await;
}

/// Every call that the service accepted gets its answer.
#[rstest]
#[tokio::test]
async fn calls_in_flight_are_answered_at_the_end(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let mut app = App::start(db).await;
    let acknowledged = std::cell::RefCell::new(0);
    let signalled = std::cell::Cell::new(false);
    at_once(CLIENTS, |client| {
        let (mut grpc, acknowledged, signalled, app) = (app.grpc(), &acknowledged, &signalled, &app);
        async move {
            for turn in 0.. {
                let (name, email) = (format!("{client}"), format!("{client}.{turn}@example.com"));
                match grpc.create_user(CreateUserRequest { name, email, ..Default::default() }).await {
                    Ok(_) => *acknowledged.borrow_mut() += 1,
                    // The service no longer accepts calls. Clients report that differently, so the test compares the
                    // counts below.
                    Err(_) => return,
                }
                if turn == 20 && !signalled.replace(true) {
                    app.signal("TERM");
                }
            }
        }
    })
    .await;
    assert_eq!(app.exit(SOON).await.code(), Some(0));
    app.restart().await;
    assert_eq!(app.everyone().await.len(), *acknowledged.borrow());
}

fn timed<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("grpc-timeout", "1S".parse().unwrap());
    request
}

#[tokio::test]
async fn a_deadline_holds_whatever_the_database_does() {
    let (dir, postgres) = (TempDir::new().unwrap(), Postgres::started().await);
    let program = Program::new(dir.path()).env("DATABASE_URL", postgres.url()).env("DB_DEADLINE", "6s");
    let server = Server::listening(program);
    server.ready().await;
    let mut grpc = server.grpc_without_a_clock().await;
    let begun = Instant::now();
    // A statement waits for a locked table for a quarter of `DB_DEADLINE`.
    let mut lock = postgres.connect();
    lock.run("BEGIN; LOCK TABLE users IN SHARE MODE");
    let written = async { grpc.clone().create_user(timed(john())).await.unwrap_err() };
    let blocked = until("the writer waits for the lock", SOON, async || {
        !postgres.backends("wait_event_type = 'Lock' AND query LIKE 'WITH created AS (%'").is_empty()
    });
    let (status, ()) = futures::join!(written, blocked);
    is_late(&status, "OUTCOME_UNKNOWN");
    lock.run("ROLLBACK");
    // The next call then has a connection that hangs, and needs no new one.
    until("a read succeeds", SOON, async || {
        grpc.get_user(GetUserRequest { id: 1, ..Default::default() }).await.is_ok()
    })
    .await;
    postgres.freeze();
    let status = grpc.get_user(timed(GetUserRequest { id: 1, ..Default::default() })).await.unwrap_err();
    is_late(&status, "DEADLINE_EXCEEDED");
    assert!(begun.elapsed() < Duration::from_secs(6), "the calls ended after the service's own deadline");
    // The lane that hangs has no room, or no connection is available. In both cases the client may retry.
    let status = grpc.get_user(GetUserRequest { id: 1, ..Default::default() }).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(status.get_error_details().retry_info().is_some(), "{status:?}");
    postgres.thaw();
}

fn is_late(status: &Status, reason: &str) {
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    details(status, reason);
}

#[tokio::test]
async fn it_speaks_tls_with_the_same_certificate() {
    let (dir, authority) = (TempDir::new().unwrap(), Authority::new());
    authority.sign("localhost").write(dir.path());
    let server = Server::listening(Program::new(dir.path()).env("TLS_CERT", "cert.pem").env("TLS_KEY", "key.pem"));
    let connect = async |authority: &Authority| {
        let tls =
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority.pem())).domain_name("localhost");
        let endpoint = Endpoint::from_shared(format!("https://{}", server.grpc_address())).unwrap();
        endpoint.tls_config(tls).unwrap().connect().await
    };
    let channel = connect(&authority).await.unwrap();
    let mut grpc = UserServiceClient::with_interceptor(channel, Authorized(TOKEN.clone()));
    until("the server answers", SOON, async || grpc.list_users(ListUsersRequest::default()).await.is_ok()).await;
    assert!(connect(&Authority::new()).await.is_err(), "the client trusts another authority");
}

/// A call whose message arrives when the given future completes.
async fn create_late(server: &Server, message: impl Future<Output = CreateUserRequest> + Send + 'static) -> Status {
    let mut grpc = tonic::client::Grpc::new(channel(server.grpc_address()));
    grpc.ready().await.unwrap();
    let mut request = Request::new(futures::stream::once(message));
    request.metadata_mut().insert("authorization", bearer(&TOKEN));
    let path = PathAndQuery::from_static("/users.v1.UserService/CreateUser");
    let codec = ProstCodec::<CreateUserRequest, CreateUserResponse>::default();
    grpc.client_streaming(request, path, codec).await.unwrap_err()
}

fn john() -> CreateUserRequest {
    CreateUserRequest { name: "John".to_owned(), email: "john@example.com".to_owned(), ..Default::default() }
}

/// However late a message arrives, its caller never learns "not executed" while the database may execute the call.
#[tokio::test]
async fn a_late_message_has_no_more_time_than_others() {
    let (dir, postgres) = (TempDir::new().unwrap(), Postgres::started().await);
    let program = Program::new(dir.path()).env("DATABASE_URL", postgres.url());
    let server = Server::listening(program.env("BODY_TIMEOUT", "1s").env("DB_DEADLINE", "2s"));
    server.ready().await;
    server.grpc().list_users(ListUsersRequest::default()).await.unwrap();
    for _ in 0..5 {
        let late = async {
            tokio::time::sleep(Duration::from_millis(1500)).await;
            john()
        };
        let freeze = async {
            // Just before the message, so that the service does not know it yet.
            tokio::time::sleep(Duration::from_millis(1450)).await;
            postgres.freeze();
        };
        let (status, ()) = futures::join!(create_late(&server, late), freeze);
        postgres.thaw();
        if status.code() != Code::Unavailable {
            assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
            details(&status, "OUTCOME_UNKNOWN");
            return;
        }
        // The service did know it.
        server.ready().await;
    }
    panic!("the service always knew that the database hangs");
}

#[tokio::test]
async fn a_message_that_never_comes_is_not_waited_for() {
    let mut app = App::start_with(Db::Sqlite, &[("BODY_TIMEOUT", "500ms"), ("DB_DEADLINE", "500ms")]).await;
    let status = create_late(&app, std::future::pending()).await;
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    details(&status, "DEADLINE_EXCEEDED");
    let hanging = create_late(&app, std::future::pending());
    let end = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        app.signal("TERM");
    };
    futures::join!(hanging, end);
    assert_eq!(app.exit(SOON).await.code(), Some(0));
}

/// A broken message is not a fault of the service.
#[tokio::test]
async fn a_message_that_breaks_off_is_its_callers_affair() {
    let app = App::start(Db::Sqlite).await;
    let hanging = create_late(&app, std::future::pending());
    assert!(tokio::time::timeout(Duration::from_millis(300), hanging).await.is_err());
    until("the call is counted", SOON, async || {
        let metrics = app.metrics().await;
        let counted = |code| metrics.sum("grpc_requests_total", &[("method", CREATE), ("code", code)]);
        counted("INVALID_ARGUMENT") + counted("CANCELLED") == 1
    })
    .await;
    assert_eq!(app.metrics().await.value("grpc_requests_in_flight"), 0.0);
}

#[tokio::test]
async fn a_stream_whose_client_takes_nothing_is_given_up() {
    let vars = [("RESPONSE_TIMEOUT", "500ms"), ("EVENTS_MAX_READERS", "1")];
    let app = App::start_with(Db::Sqlite, &vars).await;
    let endpoint = Endpoint::from_shared(format!("http://{}", app.grpc_address())).unwrap();
    let narrow = endpoint.initial_stream_window_size(1).connect_lazy();
    let mut grpc = UserServiceClient::with_interceptor(narrow, Authorized(TOKEN.clone()));
    let stuck = grpc.watch_users(WatchUsersRequest::default()).await.unwrap();
    app.create("John", "john@example.com").await;
    let mut other = app.grpc();
    until("its permit is free", SOON, async || other.watch_users(WatchUsersRequest::default()).await.is_ok()).await;
    // The connection of the ended stream still works.
    grpc.list_users(ListUsersRequest::default()).await.unwrap();
    drop(stuck);
}

#[tokio::test]
async fn a_connection_without_calls_does_not_last() {
    let app = App::start_with(Db::Sqlite, &[("KEEP_ALIVE", "300ms")]).await;
    let mut stream = TcpStream::connect(app.grpc_address()).unwrap();
    stream.write_all(&[PREFACE, &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat()).unwrap();
    until("the connection is closed", SOON, async || is_over(&mut stream)).await;
    let mut grpc = app.grpc();
    for _ in 0..3 {
        grpc.list_users(ListUsersRequest::default()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
