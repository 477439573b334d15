//! Connections to PostgreSQL that hang: the kernel of the other side acknowledges what is sent, and nothing answers.

use std::time::{Duration, Instant};

use reqwest::RequestBuilder;
use reqwest::header::IF_MATCH;
use serde_json::json;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::support::{Answered, Forgetful, LiveStream, Postgres, Program, Server, Stalls, Vhost, until, user};

/// The watchdog takes a call for hung after twice this time.
const DEADLINE: Duration = Duration::from_secs(1);
/// Time for the watchdog to find a hung call and for a new connection, even on a busy machine.
const SOON: Duration = Duration::from_secs(10);

/// An insert of this user takes longer than a statement may. A lock would not do instead: a stopped backend that has
/// acquired it would block other writers too.
const DOZE: &str = "
    CREATE FUNCTION doze() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); RETURN NEW; END';
    CREATE TRIGGER doze BEFORE INSERT ON users FOR EACH ROW WHEN (NEW.name = 'Dozy') EXECUTE FUNCTION doze()";

struct Hanging {
    // Dropped before PostgreSQL.
    server: Server,
    postgres: Postgres,
    _dir: TempDir,
}

impl Hanging {
    async fn with(vars: &[(&str, &str)]) -> Self {
        let postgres = Postgres::started().await;
        let url = postgres.url();
        Self::on(postgres, &url, vars).await
    }

    async fn on(postgres: Postgres, url: &str, vars: &[(&str, &str)]) -> Self {
        let dir = TempDir::new().unwrap();
        let program = Program::new(dir.path()).env("DATABASE_URL", url).env("DB_DEADLINE", "1s");
        let server = Server::listening(program.envs(vars));
        server.ready().await;
        Self { server, postgres, _dir: dir }
    }

    /// Stops a backend during a write, so that the write gets no response.
    async fn hang_up_a_write(&self, name: &str) -> u32 {
        loop {
            let mut lock = self.postgres.connect();
            lock.run("BEGIN; LOCK TABLE users IN SHARE MODE");
            let stop = self.stop_whoever_waits("wait_event_type = 'Lock' AND query LIKE 'WITH created AS (%'", &[]);
            let (answer, stopped) = futures::join!(self.create(name).answer(), stop);
            if let Some(backend) = stopped {
                answer.problem(504, "outcome_unknown");
                return backend;
            }
        }
    }

    /// Stops another backend during a write: see [`DOZE`].
    async fn hang_up_a_dozing_write(&self, stopped: &[u32]) -> u32 {
        loop {
            let stop = self.stop_whoever_waits("wait_event = 'PgSleep'", stopped);
            let (answer, stopped) = futures::join!(self.create("Dozy").answer(), stop);
            if let Some(backend) = stopped {
                answer.problem(504, "outcome_unknown");
                return backend;
            }
        }
    }

    /// Stops a backend that waits. A write waits for a part of the deadline only, so on a busy machine it may end
    /// before it is stopped.
    async fn stop_whoever_waits(&self, state: &str, stopped: &[u32]) -> Option<u32> {
        let waiting = || self.postgres.backends(state).into_iter().filter(|backend| !stopped.contains(backend));
        let begun = Instant::now();
        while begun.elapsed() < DEADLINE {
            sleep(Duration::from_millis(5)).await;
            for backend in waiting() {
                Postgres::stop(backend);
                if waiting().any(|waits| waits == backend) {
                    return Some(backend);
                }
                Postgres::resume(backend);
            }
        }
        None
    }

    /// Stops all backends and sends a request, until a stopped backend receives one.
    async fn hang_up(&self, request: impl Fn() -> RequestBuilder) -> Vec<u32> {
        let mut stopped = Vec::new();
        loop {
            let backends = self.postgres.backends("TRUE");
            Postgres::stop_all(&backends);
            stopped.extend(backends);
            let answer = request().answer().await;
            if answer.status == 504 {
                return stopped;
            }
        }
    }

    fn create(&self, name: &str) -> RequestBuilder {
        self.server.post("/api/v2/users", &user(name, &format!("{name}@example.com")))
    }

    async fn creates(&self, name: &str) {
        until("writes are executed", SOON, async || self.has_created(name).await).await;
    }

    /// Whether the user exists: created by this write, or by an earlier one that got 504.
    async fn has_created(&self, name: &str) -> bool {
        matches!(self.create(name).answer().await.status, 201 | 409)
    }

    async fn hung(&self, caller: &str) -> f64 {
        self.server.metrics().await.value(&format!("db_calls_hung{{caller=\"{caller}\"}}"))
    }

    async fn abandoned(&self, caller: &str) -> f64 {
        self.server.metrics().await.value(&format!("db_calls_abandoned_total{{caller=\"{caller}\"}}"))
    }

    async fn are_abandoned(&self, writes: usize) {
        let abandoned = format!("{writes} writes are abandoned");
        #[expect(clippy::cast_precision_loss, reason = "at most three")]
        until(&abandoned, SOON, async || self.abandoned("writes").await == writes as f64).await;
    }

    async fn refused(&self, lane: &str) -> f64 {
        self.server.metrics().await.value(&format!("db_messages_refused_total{{lane=\"{lane}\"}}"))
    }

    async fn all_return(&self) {
        until("all calls return", SOON, async || self.server.metrics().await.sum("db_calls_hung", &[]) == 0).await;
    }

    /// Checks that each event of a user has the next version, and that the last one matches the user.
    async fn events_tell_what_there_is(&self) {
        let everyone = self.server.everyone().await;
        let versions = everyone.iter().map(|user| user["version"].as_u64().unwrap()).sum::<u64>();
        let mut stream = LiveStream::resume(&self.server, 0).await;
        let told = stream.take(usize::try_from(versions).unwrap()).await;
        assert!(stream.is_silent_for(Duration::from_millis(500)).await, "more events than changes");
        for user in everyone {
            let of_user = Vec::from_iter(told.iter().filter(|told| told.user_id() == user["id"]));
            let versions = Vec::from_iter(of_user.iter().map(|told| told.version()));
            assert_eq!(versions, Vec::from_iter(1..=user["version"].as_i64().unwrap()));
            assert_eq!(of_user.last().unwrap().data["data"], user);
        }
    }
}

/// The server works, except for one backend.
#[tokio::test]
async fn a_writer_that_hangs_is_replaced() {
    let hanging = Hanging::with(&[]).await;
    hanging.creates("John").await;
    let mut stream = LiveStream::open(&hanging.server).await;
    let writer = hanging.hang_up_a_write("Jane").await;
    hanging.creates("Late").await;
    assert_eq!(stream.take(1).await[0].data["data"]["name"], "Late");
    assert_eq!((hanging.hung("writes").await, hanging.abandoned("writes").await), (1.0, 1.0));
    hanging.server.get("/ready").answer().await.expect(200);
    Postgres::resume(writer);
    hanging.all_return().await;
    assert_eq!(hanging.abandoned("writes").await, 1.0);
    // The write may or may not be executed, but only once.
    hanging.events_tell_what_there_is().await;
    hanging.creates("Last").await;
}

/// Each hung writer keeps a thread and a connection for an unknown time. So the service replaces two. After a third it
/// refuses writes, and does not execute them, until one returns.
#[tokio::test]
async fn a_third_writer_that_hangs_is_not_replaced() {
    let hanging = Hanging::with(&[]).await;
    hanging.creates("John").await;
    hanging.postgres.connect().run(DOZE);
    let mut stopped = Vec::new();
    for name in ["Jane", "Jim", "Nobody"] {
        stopped.push(hanging.hang_up_a_dozing_write(&stopped).await);
        hanging.are_abandoned(stopped.len()).await;
        if stopped.len() < 3 {
            hanging.creates(name).await;
        }
    }
    let begun = Instant::now();
    hanging.create("Refused").answer().await.problem(503, "unavailable");
    assert!(begun.elapsed() < DEADLINE, "the refusal took {:?}", begun.elapsed());
    assert_eq!(hanging.server.failing().await, "database");
    assert_eq!((hanging.hung("writes").await, hanging.abandoned("writes").await), (3.0, 3.0));
    assert!(hanging.refused("writes").await >= 1.0);
    hanging.server.get("/api/v2/users/1").answer().await.expect(200);
    // When one has returned, another is replaced.
    Postgres::resume(stopped.remove(0));
    hanging.creates("Late").await;
    hanging.server.ready().await;
    Postgres::resume_all(&stopped);
    hanging.all_return().await;
    assert_eq!(hanging.abandoned("writes").await, 3.0);
    hanging.creates("Last").await;
    let everyone = hanging.server.by_email().await;
    assert!(!everyone.contains_key("Refused@example.com"), "503 is not executed");
    hanging.events_tell_what_there_is().await;
}

/// Backends that are stopped before they read a statement execute it when they continue.
#[tokio::test]
async fn what_an_abandoned_writer_does_late_is_one_more_change() {
    let hanging = Hanging::with(&[]).await;
    hanging.creates("John").await;
    let server = &hanging.server;
    let rename = |name: &str| server.patch("/api/v2/users/1", &json!({ "name": name }));
    let john = async || {
        until("the user is read", SOON, async || server.get("/api/v2/users/1").answer().await.status == 200).await;
        server.get("/api/v2/users/1").answer().await
    };
    let etag = john().await.header("etag").to_owned();
    let mut stopped = hanging.hang_up(|| rename("Old").header(IF_MATCH, &etag)).await;
    until("the user is changed", SOON, async || rename("New").answer().await.status == 200).await;
    let new = john().await.body(200);
    assert_eq!(new["name"], "New");
    stopped.extend(hanging.hang_up(|| rename("Newest")).await);
    let before = john().await.body(200)["version"].as_u64().unwrap();
    hanging.creates("Late").await;
    Postgres::resume_all(&stopped);
    hanging.all_return().await;
    let john = john().await.body(200);
    // Its caller got 504: the change may still be executed. The condition of the other write no longer holds.
    assert_eq!(john["name"], "Newest");
    let more = john["version"].as_u64().unwrap() - before;
    assert!(more <= 1, "{more} changes were made late");
    hanging.events_tell_what_there_is().await;
}

/// All connections hang: those of the lanes, the keeper, the live stream and the relay.
#[tokio::test]
async fn all_that_were_connected_hang_and_everything_goes_on() {
    let vhost = Vhost::fresh();
    let hanging = Hanging::with(&[("AMQP_URL", vhost.url())]).await;
    let server = &hanging.server;
    hanging.creates("John").await;
    let mut stream = LiveStream::open(server).await;
    let published = async || server.metrics().await.value("events_published_total");
    until("the relay publishes", SOON, async || published().await == 1.0).await;
    let backends = hanging.postgres.backends("TRUE");
    Postgres::stop_all(&backends);
    for path in ["/api/v2/users/1", "/api/v2/users"] {
        until("reads are answered", SOON, async || server.get(path).answer().await.status == 200).await;
    }
    hanging.creates("Jane").await;
    until("the server is ready", SOON, async || server.is_ready().await).await;
    let told = stream.take(1).await;
    assert_eq!(told[0].data["data"]["name"], "Jane");
    until("the relay publishes again", SOON, async || published().await >= 2.0).await;
    assert!(server.metrics().await.sum("db_calls_abandoned_total", &[]) > 0);
    Postgres::resume_all(&backends);
    hanging.all_return().await;
    hanging.events_tell_what_there_is().await;
}

/// The database has moved to another address. What the service sends to the old one arrives nowhere.
#[tokio::test]
async fn a_black_hole_is_left() {
    let postgres = Postgres::started().await;
    let network = Forgetful::before(format!("127.0.0.1:{}", postgres.port())).await;
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", network.port());
    let hanging = Hanging::on(postgres, &url, &[]).await;
    hanging.creates("John").await;
    let mut stream = LiveStream::open(&hanging.server).await;
    network.forget();
    hanging.creates("Jane").await;
    assert_eq!(stream.take(1).await[0].data["data"]["name"], "Jane");
    hanging.server.ready().await;
    hanging.events_tell_what_there_is().await;
}

/// A pooler accepts clients without a server for them; later it has one again. The connections that it accepted
/// meanwhile stay stuck.
#[tokio::test]
async fn whoever_was_let_in_and_left_alone_comes_again() {
    let postgres = Postgres::started().await;
    let pooler = Stalls::before(format!("127.0.0.1:{}", postgres.port())).await;
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", pooler.port());
    let hanging = Hanging::on(postgres, &url, &[]).await;
    hanging.creates("John").await;
    pooler.stall(true);
    until("writes are refused", SOON, async || hanging.create("Jane").answer().await.status == 503).await;
    until("new connections hang too", 3 * SOON, async || hanging.abandoned("connect").await >= 1.0).await;
    pooler.stall(false);
    until("writes are accepted again", 3 * SOON, async || hanging.has_created("Late").await).await;
    hanging.server.ready().await;
}
