//! When all connections are in use, a reserve still answers health checks and metrics.

use std::time::{Duration, Instant};

use rstest::rstest;
use tonic::Code;

use crate::grpc::health::Health;
use crate::support::proto::GetUserRequest;
use crate::support::{Answered, App, Db, Raw, TOKEN, details, until};

const SOON: Duration = Duration::from_secs(10);
/// Long timeouts: a silent connection is closed only because it is in the reserve.
const FULL: [(&str, &str); 4] =
    [("MAX_CONNECTIONS", "4"), ("SERVER_WORKERS", "1"), ("HEAD_TIMEOUT", "1m"), ("KEEP_ALIVE", "1h")];

fn request(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n", *TOKEN)
}

/// Sends a request on a new connection. Returns the answer if the server then closes the connection, otherwise the
/// connection.
fn ask(app: &App, target: &str) -> Result<String, Raw> {
    let mut raw = Raw::connect(app.address());
    raw.write(&request(target));
    let answer = raw.read_response();
    if !answer.contains("connection: close\r\n") {
        return Err(raw);
    }
    assert_eq!(raw.read_to_end(), "", "nothing follows the answer");
    Ok(answer)
}

/// Opens and holds all connections that are free.
fn fill(app: &App) -> Vec<Raw> {
    Vec::from_iter(std::iter::from_fn(|| ask(app, "/health").err()))
}

#[rstest]
#[tokio::test]
async fn what_is_open_to_everybody_is_answered_once(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start_with(db, &FULL).await;
    let held = fill(&app);
    assert!((3..=4).contains(&held.len()), "all but the one that may still poll /ready: {}", held.len());
    for target in ["/health", "/livez", "/ready", "/readyz", "/metrics"] {
        let answer = ask(&app, target).unwrap_or_else(|_| panic!("{target}: the connection stays open"));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{target}: {answer}");
    }
    for target in ["/api/v1/users", "/api/v2/users", "/api/v2/events"] {
        let answer = ask(&app, target).unwrap_or_else(|_| panic!("{target}: the connection stays open"));
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: 1\r\n"), "{target}: {answer}");
        assert!(target.contains("v1") || answer.contains("\"code\":\"overloaded\""), "{target}: {answer}");
    }
    drop(held);
    until("there is room again", SOON, async || ask(&app, "/api/v2/users").is_err()).await;
    app.get("/api/v2/users").answer().await.expect(200);
}

#[tokio::test]
async fn strangers_who_say_nothing_do_not_use_it_up() {
    let app = App::start_with(Db::Sqlite, &FULL).await;
    let held = fill(&app);
    let begun = Instant::now();
    let mut strangers = Vec::from_iter((0..40).map(|_| Raw::connect(app.address())));
    let answer = ask(&app, "/ready").unwrap_or_else(|_| panic!("the connection stays open"));
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    for stranger in &mut strangers {
        assert_eq!(stranger.read_to_end(), "");
    }
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    drop(held);
}

/// Clients that request something large and do not read it do not use up the reserve either.
#[tokio::test]
async fn clients_that_do_not_read_do_not_use_up_the_reserve() {
    let app = App::start_with(Db::Sqlite, &[&FULL[..], &[("RESPONSE_TIMEOUT", "1h")]].concat()).await;
    let held = fill(&app);
    let deaf = Vec::from_iter((0..40).map(|_| {
        let mut raw = Raw::connect(app.address());
        // The server may have closed the connection by then.
        raw.try_write(&request("/docs/swagger-ui-bundle.js").repeat(9));
        raw
    }));
    let begun = Instant::now();
    let answer = ask(&app, "/ready").unwrap_or_else(|_| panic!("the connection stays open"));
    assert!(answer.starts_with("HTTP/1.1 200 ") && begun.elapsed() < SOON, "{:?}: {answer}", begun.elapsed());
    drop((held, deaf));
}

#[tokio::test]
async fn calls_share_the_places() {
    let app = App::start_with(Db::Sqlite, &FULL).await;
    let held = fill(&app);
    assert_eq!(format!("{:?}", Health::of(&app).check("").await.unwrap()), "Serving");
    let status = app.grpc().get_user(GetUserRequest { id: 1, ..Default::default() }).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(details(&status, "OVERLOADED").retry_info().is_some());
    drop(held);
    until("there is room again", SOON, async || {
        app.grpc()
            .get_user(GetUserRequest { id: 1, ..Default::default() })
            .await
            .is_err_and(|status| status.code() == Code::NotFound)
    })
    .await;
}
