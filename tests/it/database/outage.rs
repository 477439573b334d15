//! A PostgreSQL server that starts late, crashes, freezes and returns.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use reqwest::RequestBuilder;
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::support::{Answer, Answered, CLIENTS, LiveStream, Postgres, Program, Server, at_once, email, until, user};

/// The default deadline of 2 s, and time for a busy machine to answer.
const BY: Duration = Duration::from_secs(4);
const RETURN: Duration = Duration::from_secs(5);

fn serve(dir: &TempDir, postgres: &Postgres) -> Server {
    Server::listening(Program::new(dir.path()).env("DATABASE_URL", postgres.url()))
}

async fn in_time(request: RequestBuilder) -> Answer {
    let begun = Instant::now();
    let answer = request.answer().await;
    assert!(begun.elapsed() < BY, "{:?}: {answer:?}", begun.elapsed());
    answer
}

async fn is_not_ready(server: &Server) {
    until("/ready reports it", Duration::from_secs(5), async || !server.is_ready().await).await;
    let not_ready = in_time(server.get("/ready")).await.body(503);
    assert_eq!((&not_ready["ready"], &not_ready["failing"]), (&false.into(), &"database".into()), "{not_ready}");
    assert!(not_ready["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{not_ready}");
    in_time(server.get("/health")).await.body(200);
}

#[tokio::test]
async fn it_may_come_after_the_server() {
    let (dir, mut postgres) = (TempDir::new().unwrap(), Postgres::planned());
    let server = serve(&dir, &postgres);
    is_not_ready(&server).await;
    in_time(server.get("/api/v2/users/1")).await.problem(503, "unavailable");
    in_time(server.post("/api/v2/users", &user("John", "john@example.com"))).await.problem(503, "unavailable");
    in_time(server.get("/api/v1/users")).await.error(503);
    postgres.start().await;
    until("reads are answered", RETURN, async || server.get("/api/v2/users").answer().await.status == 200).await;
    server.ready().await;
    server.create("John", "john@example.com").await;
}

/// Streams survive an outage, and then deliver what has happened.
#[tokio::test]
async fn live_streams_wait_for_it() {
    let (dir, mut postgres) = (TempDir::new().unwrap(), Postgres::started().await);
    let server = serve(&dir, &postgres);
    server.ready().await;
    let mut stream = LiveStream::open(&server).await;
    server.create("John", "john@example.com").await;
    assert_eq!(stream.take(1).await[0].user_id(), 1);
    postgres.crash();
    in_time(server.get("/api/v2/events")).await.problem(503, "unavailable");
    postgres.start().await;
    until("reads are answered", RETURN, async || server.get("/api/v2/users").answer().await.status == 200).await;
    let mut resumed = LiveStream::resume(&server, 0).await;
    postgres.freeze();
    in_time(server.get("/api/v2/events")).await.problem(503, "unavailable");
    postgres.thaw();
    until("reads are answered", RETURN, async || server.get("/api/v2/users").answer().await.status == 200).await;
    let jane = server.create("Jane", "jane@example.com").await;
    assert_eq!(stream.take(1).await[0].data["data"], jane);
    assert_eq!(resumed.take(2).await[1].data["data"], jane);
}

#[derive(Default)]
struct Seen {
    created: RefCell<Vec<Value>>,
    refused: RefCell<Vec<String>>,
    unknown: Cell<usize>,
    over: Cell<bool>,
}

impl Seen {
    fn note(&self, email: String, answer: &Answer) {
        match answer.status {
            201 => self.created.borrow_mut().push(answer.json()),
            503 => {
                answer.problem(503, answer.json()["code"].as_str().unwrap_or_default());
                self.refused.borrow_mut().push(email);
            }
            _ => {
                answer.problem(504, "outcome_unknown");
                self.unknown.set(self.unknown.get() + 1);
            }
        }
    }

    async fn creations(&self) {
        let before = self.created.borrow().len();
        until("users are created", RETURN, async || self.created.borrow().len() > before + 100).await;
    }

    async fn failures(&self) {
        let so_far = || self.refused.borrow().len() + self.unknown.get();
        let before = so_far();
        until("every client is refused", 2 * BY, async || so_far() >= before + CLIENTS).await;
    }
}

/// Creates and reads users, slowly enough to leave processor time to others while all requests are refused.
async fn work(server: &Server, client: usize, seen: &Seen) {
    let mut turn = 0;
    while !seen.over.get() {
        let email = format!("john{client}.{turn}@example.com");
        let answer = in_time(server.post("/api/v2/users", &user("John", &email))).await;
        seen.note(email, &answer);
        let read = in_time(server.get("/api/v2/users/1")).await;
        assert!(matches!(read.status, 200 | 503 | 404), "{read:?}");
        sleep(Duration::from_millis(20)).await;
        turn += 1;
    }
}

#[tokio::test]
async fn it_dies_and_returns_under_load() {
    let (dir, mut postgres) = (TempDir::new().unwrap(), Postgres::started().await);
    let server = serve(&dir, &postgres);
    server.ready().await;
    let seen = Seen::default();
    let load = at_once(CLIENTS, async |client: usize| work(&server, client, &seen).await);
    let outage = async {
        seen.creations().await;
        postgres.crash();
        seen.failures().await;
        is_not_ready(&server).await;
        postgres.start().await;
        seen.creations().await;
        seen.over.set(true);
    };
    futures::join!(load, outage);
    server.ready().await;
    assert_only_the_created_exist(&server, &seen).await;
}

async fn assert_only_the_created_exist(server: &Server, seen: &Seen) {
    let found = server.by_email().await;
    for user in seen.created.borrow().iter() {
        assert_eq!(found.get(email(user)), Some(user), "an acknowledged user is lost");
    }
    for email in seen.refused.borrow().iter() {
        assert!(!found.contains_key(email), "503 is not executed, but {email} exists");
    }
}

#[tokio::test]
async fn it_freezes_and_nobody_waits_past_the_deadline() {
    let (dir, postgres) = (TempDir::new().unwrap(), Postgres::started().await);
    let server = serve(&dir, &postgres);
    server.ready().await;
    let seen = Seen::default();
    let load = at_once(CLIENTS, async |client: usize| work(&server, client, &seen).await);
    let outage = async {
        seen.creations().await;
        postgres.freeze();
        seen.failures().await;
        is_not_ready(&server).await;
        seen.failures().await;
        postgres.thaw();
        seen.creations().await;
        seen.over.set(true);
    };
    futures::join!(load, outage);
    server.ready().await;
    assert_only_the_created_exist(&server, &seen).await;
}
