//! SIGTERM and SIGINT.

use std::cell::RefCell;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::Value;

use crate::support::{Answered, App, CLIENTS, Db, Raw, at_once, email, until, user};

const SOON: Duration = Duration::from_secs(10);

async fn refuses_connections(app: &App) {
    until("no connection is accepted", SOON, async || TcpStream::connect(app.address()).is_err()).await;
}

/// A request whose head and a part of its body have arrived.
fn half_a_request(app: &App) -> (Raw, String) {
    let body = user("John", "john@example.com").to_string();
    let mut raw = Raw::begin_post(app.address(), "/api/v2/users", body.len());
    let (first, rest) = body.split_at(10);
    raw.write(first);
    (raw, rest.to_owned())
}

#[rstest]
#[case("TERM")]
#[case("INT")]
#[tokio::test]
async fn it_is_announced_and_still_serves(#[case] signal: &str, #[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let mut app = App::start_with(db, &[("SHUTDOWN_DELAY", "2s")]).await;
    let begun = Instant::now();
    app.signal(signal);
    until("/ready reports it", Duration::from_millis(1500), async || !app.is_ready().await).await;
    for path in ["/ready", "/readyz"] {
        let not_ready = app.get(path).answer().await.body(503);
        assert_eq!((&not_ready["ready"], &not_ready["failing"]), (&false.into(), &"shutdown".into()), "{not_ready}");
    }
    app.get("/health").answer().await.expect(200);
    app.create("John", "john@example.com").await;
    assert_eq!(app.exit(SOON).await.code(), Some(0));
    assert!(begun.elapsed() >= Duration::from_millis(1900), "{:?}", begun.elapsed());
    app.restart().await;
    assert_eq!(app.everyone().await.len(), 1);
}

#[rstest]
#[case("TERM")]
#[case("INT")]
#[tokio::test]
async fn a_request_in_flight_is_answered(#[case] signal: &str, #[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let mut app = App::start_with(db, &[("SHUTDOWN_DELAY", "100ms")]).await;
    let (mut raw, rest) = half_a_request(&app);
    app.signal(signal);
    refuses_connections(&app).await;
    raw.write(&rest);
    let head = raw.read_head();
    assert!(head.starts_with("HTTP/1.1 201 "), "{head:?}");
    assert_eq!(app.exit(SOON).await.code(), Some(0));
    app.restart().await;
    assert_eq!(app.everyone().await[0]["email"], "john@example.com");
}

/// Creates users until the server refuses or closes the connection. No answer may be cut off.
async fn create_until_closed(app: &App, client: usize, acknowledged: &RefCell<Vec<Value>>) {
    for turn in 0.. {
        let john = user("John", &format!("john{client}.{turn}@example.com"));
        match app.post("/api/v2/users", &john).try_answer().await {
            Ok(answer) => acknowledged.borrow_mut().push(answer.body(201)),
            Err(error) => {
                assert!(error.is_connect() || error.is_request(), "an answer was cut off: {error:?}");
                return;
            }
        }
    }
}

#[rstest]
#[tokio::test]
async fn no_acknowledged_write_is_lost(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let mut app = App::start_with(db, &[("SHUTDOWN_DELAY", "200ms")]).await;
    let acknowledged = RefCell::new(Vec::new());
    let work = at_once(CLIENTS, async |client: usize| {
        create_until_closed(&app, client, &acknowledged).await;
    });
    let stop = async {
        until("enough users are acknowledged", SOON, async || acknowledged.borrow().len() >= CLIENTS).await;
        app.signal("TERM");
    };
    futures::join!(work, stop);
    assert_eq!(app.exit(Duration::from_secs(20)).await.code(), Some(0));
    app.restart().await;
    let found = app.by_email().await;
    for user in acknowledged.borrow().iter() {
        assert_eq!(found.get(email(user)), Some(user), "an acknowledged user is lost");
    }
}

#[rstest]
#[case("TERM", "TERM")]
#[case("TERM", "INT")]
#[case("INT", "INT")]
#[tokio::test]
async fn a_second_signal_ends_it_at_once(
    #[case] first: &str,
    #[case] second: &str,
    #[values(Db::Sqlite, Db::Postgres)] db: Db,
    #[values("50ms", "15s")] delay: &str,
) {
    let mut app = App::start_with(db, &[("SHUTDOWN_DELAY", delay)]).await;
    let (_unfinished, _) = half_a_request(&app);
    app.signal(first);
    match delay {
        "50ms" => refuses_connections(&app).await,
        _ => until("/ready reports it", SOON, async || !app.is_ready().await).await,
    }
    app.signal(second);
    let status = app.exit(Duration::from_secs(2)).await;
    assert_ne!(status.code(), Some(0), "{status}");
    until("the last line is logged", SOON, async || app.log().contains("again: ending at once")).await;
}

#[rstest]
#[tokio::test]
async fn a_request_that_never_ends_holds_it_for_the_grace_only(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let mut app = App::start_with(db, &[("SHUTDOWN_DELAY", "100ms"), ("SHUTDOWN_GRACE", "1s")]).await;
    let (_unfinished, _) = half_a_request(&app);
    app.signal("TERM");
    assert!(!app.exit(Duration::from_secs(5)).await.success(), "not everything ended in order");
}

#[rstest]
#[tokio::test]
async fn an_idle_connection_does_not_hold_it(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let mut app = App::start_with(db, &[("SHUTDOWN_DELAY", "100ms"), ("KEEP_ALIVE", "60s")]).await;
    let _silent = Raw::connect(app.address());
    let mut idle = Raw::connect(app.address());
    idle.write("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(idle.read_head().starts_with("HTTP/1.1 200 "));
    app.signal("TERM");
    assert_eq!(app.exit(Duration::from_secs(5)).await.code(), Some(0));
}
