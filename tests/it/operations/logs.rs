//! The log: which requests have a line, and how each line within a request names that request.

use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Answered, App, Db, Http2, Program, Server, at_once, http, until, user};

const SOON: Duration = Duration::from_secs(10);
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn access_lines(server: &Server) -> Vec<String> {
    server.log().lines().filter(|line| line.contains("user_service::access_log")).map(str::to_owned).collect()
}

async fn line_about(server: &Server, what: &str) -> String {
    let mut found = None;
    until(&format!("a line about {what}"), SOON, async || {
        found = server.log().lines().find(|line| line.contains(what)).map(str::to_owned);
        found.is_some()
    })
    .await;
    found.unwrap()
}

#[rstest]
#[tokio::test]
async fn every_request_has_a_line_if_wanted(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start_with(db, &[("ACCESS_LOG", "all")]).await;
    app.get("/api/v2/users/7").header("x-request-id", "missing").answer().await.expect(404);
    app.get("/somebody@example.com").header("x-request-id", "nowhere").answer().await.expect(404);
    let line = line_about(&app, "request_id=missing").await;
    assert!(line.contains("GET /api/v2/users/{id} 404 user_not_found ") && line.contains("INFO"), "{line}");
    let line = line_about(&app, "request_id=nowhere").await;
    assert!(line.contains("GET unmatched 404 route_not_found "), "{line}");
    assert!(!app.log().contains("example.com"), "a path may be personal data");
}

#[tokio::test]
async fn what_the_client_did_wrong_has_none() {
    let app = App::start_with(Db::Sqlite, &[("SLOW_REQUEST", "1m")]).await;
    app.get("/api/v2/users/7").answer().await.expect(404);
    app.post("/api/v2/users", &user("", "")).answer().await.expect(422);
    app.create("John", "john@example.com").await;
    // A later line in the log proves that the others had time to appear.
    app.signal("TERM");
    line_about(&app, "shutting down").await;
    assert_eq!(access_lines(&app), [""; 0]);
}

#[tokio::test]
async fn a_problem_is_told_with_what_it_belongs_to() {
    let dir = TempDir::new().unwrap();
    let away = Program::new(dir.path()).env("DATABASE_URL", "postgres://127.0.0.1:1/users").env("LOG_FORMAT", "json");
    let server = Server::listening(away);
    let request = server.get("/api/v2/users/1").header("x-request-id", "mine").header("traceparent", PARENT);
    let problem = request.answer().await.problem(503, "unavailable");
    assert_eq!(problem["trace_id"], TRACE);
    let line: Value = serde_json::from_str(&line_about(&server, "user_service::access_log").await).unwrap();
    let expected = json!({
        "level": "WARN", "target": "user_service::access_log", "request_id": "mine", "trace_id": TRACE,
        "method": "GET", "route": "/api/v2/users/{id}", "status": 503, "code": "unavailable",
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&line[name], value, "{name} in {line}");
    }
    assert!(line["duration_ms"].as_f64().is_some_and(|took| (0.0..2000.0).contains(&took)), "{line}");
}

#[rstest]
#[tokio::test]
async fn the_cause_is_told_once_and_for_whom(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start_with(db, &[("DB_DEADLINE", "3s"), ("ACCESS_LOG", "off")]).await;
    let lock = app.database.lock_writers();
    let post = app.post("/api/v2/users", &user("John", "john@example.com"));
    post.header("x-request-id", "mine").header("traceparent", PARENT).answer().await.problem(503, "unavailable");
    drop(lock);
    // The service attempts the message twice, the second time alone.
    let cause = "a batch of 1 failed, not executed: ";
    let line = line_about(&app, cause).await;
    assert!(line.ends_with(&format!(" request_id=mine trace_id={TRACE}")), "{line}");
    app.signal("TERM");
    line_about(&app, "shutting down").await;
    assert_eq!(app.log().matches(cause).count(), 1, "{}", app.log());
    assert_eq!(access_lines(&app), [""; 0]);
}

#[rstest]
#[tokio::test]
async fn a_batch_names_its_requests(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start_with(db, &[("DB_DEADLINE", "3s")]).await;
    let lock = app.database.lock_writers();
    at_once(30, async |client: usize| {
        let post = app.post("/api/v2/users", &user("Jane", &format!("jane{client}@example.com")));
        post.header("x-request-id", format!("client-{client}")).answer().await.status
    })
    .await;
    drop(lock);
    let line = line_about(&app, "; requests ").await;
    let (_, named) = line.split_once("; requests ").unwrap();
    assert!(named.split(", ").take(10).all(|id| id.starts_with("client-") || id == "..."), "{line}");
}

#[rstest]
#[tokio::test]
async fn a_slow_request_is_a_problem(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start_with(db, &[("SLOW_REQUEST", "100ms"), ("DB_DEADLINE", "20s")]).await;
    let lock = app.database.lock_writers();
    let post = app.post("/api/v2/users", &user("John", "john@example.com")).header("x-request-id", "slow");
    let release = async {
        until("the request is in flight", SOON, async || {
            let metrics = app.metrics().await;
            metrics.value("http_requests_in_flight") == 2.0
        })
        .await;
        tokio::time::sleep(Duration::from_millis(150)).await;
        drop(lock);
    };
    let (answer, ()) = futures::join!(post.answer(), release);
    answer.expect(201);
    let line = line_about(&app, "request_id=slow").await;
    assert!(line.contains("WARN") && line.contains("POST /api/v2/users 201 - "), "{line}");
}

/// The number of lines about failing statements is limited.
#[tokio::test]
async fn failing_statements_are_told_as_far_as_that_helps() {
    let app = App::start_with(Db::Sqlite, &[("ACCESS_LOG", "off")]).await;
    app.database.connect().run("CREATE TRIGGER no BEFORE INSERT ON users BEGIN SELECT RAISE(ABORT, 'no'); END");
    let begun = std::time::Instant::now();
    for crowd in 0..10 {
        let create = async |client: usize| {
            app.post("/api/v2/users", &user("Jane", &format!("jane{crowd}-{client}@example.com"))).answer().await.status
        };
        assert!(at_once(200, create).await.iter().all(|status| *status >= 500));
    }
    let most = 100 * (usize::try_from(begun.elapsed().as_secs()).unwrap() + 2);
    app.logs("storage::engine").await;
    let lines = app.log().matches("storage::engine").count();
    assert!((1..=most).contains(&lines), "{lines} of at most {most}");
}

/// The service answers even if nobody reads its log.
#[tokio::test]
async fn a_full_pipe_stops_nobody() {
    let dir = TempDir::new().unwrap();
    let mut command = Program::new(dir.path())
        .envs(&[("ACCESS_LOG", "all"), ("SERVER_PORT", "0"), ("GRPC_PORT", "0")])
        .with_a_key()
        .into_command();
    let mut child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut address = None;
    let mut log = std::io::BufReader::with_capacity(1, child.stderr.take().unwrap());
    while address.is_none() {
        let mut line = String::new();
        assert_ne!(std::io::BufRead::read_line(&mut log, &mut line).unwrap(), 0, "the server listens");
        address = line.split_once("listening on http://").map(|(_, rest)| rest.split_once(';').unwrap().0.to_owned());
    }
    let client = http().timeout(SOON).build().unwrap();
    let url = format!("http://{}/health", address.unwrap());
    // Several times as much as a pipe holds, which is 64 KiB.
    for _ in 0..20 {
        let get = async |_| client.get(&url).send().await.map(|answer| answer.status().as_u16());
        assert!(at_once(100, get).await.into_iter().all(|status| status.is_ok_and(|status| status == 200)));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// An overload causes thousands of failures a second, and writing all of them would make it worse.
#[tokio::test]
async fn problems_are_told_as_far_as_that_helps() {
    const REQUESTS: usize = 2000;
    let dir = TempDir::new().unwrap();
    let away = Program::new(dir.path()).env("DATABASE_URL", "postgres://127.0.0.1:1/users");
    let server = Server::listening(away);
    let begun = std::time::Instant::now();
    for _ in 0..REQUESTS / 200 {
        at_once(200, async |_| server.get("/api/v2/users/1").answer().await.status).await;
    }
    let most = 100 * (usize::try_from(begun.elapsed().as_secs()).unwrap() + 2);
    let lines = access_lines(&server);
    assert!(lines.len() <= most, "{} of at most {most}", lines.len());
    if lines.len() < REQUESTS {
        // The next line says how many were left out.
        let untold = |line: &String| Some(line.split_once("; and ")?.1.split_once(' ')?.0.parse::<usize>().unwrap());
        until("the omitted lines are counted", SOON, async || {
            server.get("/api/v2/users/1").answer().await;
            let lines = access_lines(&server);
            lines.len() + lines.iter().filter_map(untold).sum::<usize>() > REQUESTS
        })
        .await;
    }
}

/// h2 logs a line for each of these frames.
#[tokio::test]
async fn a_stranger_does_not_fill_it() {
    let app = App::start(Db::Sqlite).await;
    for _ in 0..4 {
        let mut stranger = Http2::connect(app.grpc_address());
        (0..250).for_each(|_| stranger.pong());
        stranger.data(0, b"a message of no call ends the connection");
        until("the connection is closed", SOON, async || stranger.is_over()).await;
    }
    let lines = |what: &str| app.log().lines().filter(|line| line.contains(what)).count();
    app.logs("PING ack").await;
    let about_it = lines("PING ack");
    assert!((1..100).contains(&about_it), "{about_it} lines");
    until("the omitted lines are counted", SOON, async || {
        let mut stranger = Http2::connect(app.grpc_address());
        stranger.pong();
        stranger.data(0, b"");
        lines("more like it before") > 0
    })
    .await;
}
