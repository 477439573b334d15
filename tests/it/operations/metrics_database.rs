//! `/metrics`: the database actors, the pool and the gate.

use std::time::Duration;

use rstest::rstest;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{Answered, App, Db, Postgres, Program, Raw, Server, at_once, claims, now, token, until, user};

const SOON: Duration = Duration::from_secs(5);

async fn tells(server: &Server, series: &str, what: impl Fn(f64) -> bool) {
    until(&format!("{series} has the value"), SOON, async || what(server.metrics().await.value(series))).await;
}

#[rstest]
#[tokio::test]
async fn lanes_tell_what_they_did(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    app.create("John", "john@example.com").await;
    app.create("Jane", "jane@example.com").await;
    app.post("/api/v2/users", &user("John", "john@example.com")).answer().await.expect(409);
    app.patch("/api/v2/users/1", &json!({ "name": "Johnny" })).answer().await.expect(200);
    app.delete("/api/v2/users/1").answer().await.expect(204);
    app.delete("/api/v2/users/1").answer().await.expect(404);
    app.get("/api/v2/users/2").answer().await.expect(200);
    app.get("/api/v2/users").answer().await.expect(200);
    let renamed = json!({ "operations": [{ "update": { "id": 2, "patch": { "name": "J" } } }], "atomic": true });
    app.post("/api/v2/users:batchWrite", &renamed).answer().await.expect(200);
    let import = app.request(reqwest::Method::PUT, "/api/v2/imports/a").header("content-type", "application/x-ndjson");
    import.body("{\"name\":\"Jim\",\"email\":\"jim@example.com\"}").answer().await.expect(200);
    let metrics = app.metrics().await;
    for (change, times) in [("created", 3.0), ("updated", 2.0), ("deleted", 1.0)] {
        assert_eq!(metrics.value(&format!("users_{change}_total")), times, "{change}");
    }
    for (lane, actors, messages) in
        [("lookups", 1.0, 1.0), ("pages", 2.0, 1.0), ("writes", 1.0, 6.0), ("atomic", 1.0, 1.0), ("imports", 1.0, 1.0)]
    {
        let value = |family: &str| metrics.value(&format!("{family}{{lane=\"{lane}\"}}"));
        assert_eq!(value("db_actors"), actors, "{lane}");
        assert_eq!(value("db_mailbox_capacity_messages"), 1024.0, "{lane}");
        for family in ["db_wait_duration_seconds_count", "db_batch_size_messages_sum"] {
            assert_eq!(value(family), messages, "{family} {lane}");
        }
        assert_eq!(value("db_transaction_duration_seconds_count"), value("db_batch_size_messages_count"), "{lane}");
        assert!(value("db_transaction_duration_seconds_sum") > 0.0, "{lane}");
        for family in ["db_messages_waiting", "db_messages_refused_total", "db_messages_expired_total"] {
            assert_eq!(value(family), 0.0, "{family} {lane}");
        }
    }
    assert_eq!(metrics.value("db_up"), 1.0);
    // Six actors, what batches and imports look up beside, the keeper, and three for the event log.
    assert_eq!(metrics.value("db_pool_max_connections"), 11.0);
    assert!(metrics.value("db_pool_acquire_duration_seconds_count") >= 8.0);
    let connections = |state: &str| metrics.value(&format!("db_pool_connections{{state=\"{state}\"}}"));
    assert!((1.0..=11.0).contains(&(connections("idle") + connections("in_use"))));
}

#[rstest]
#[tokio::test]
async fn messages_that_never_ran_are_told_apart(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start_with(db, &[("DB_DEADLINE", "400ms"), ("DB_MAILBOX", "8")]).await;
    let lock = app.database.lock_writers();
    let create = async |client: usize| {
        app.post("/api/v2/users", &user("Jane", &format!("jane{client}@example.com"))).answer().await.status
    };
    let statuses = at_once(40, create).await;
    assert!(statuses.iter().all(|status| matches!(status, 503 | 504)), "{statuses:?}");
    tells(&app, "db_messages_refused_total{lane=\"writes\"}", |refused| refused >= 10.0).await;
    tells(&app, "db_messages_expired_total{lane=\"writes\"}", |expired| expired >= 1.0).await;
    let failed = app.metrics().await.value("db_batches_failed_total{lane=\"writes\",outcome=\"not_executed\"}");
    assert!(failed >= 1.0, "{failed}");
    assert_eq!(app.metrics().await.value("db_messages_refused_total{lane=\"lookups\"}"), 0.0);
    drop(lock);
}

#[rstest]
#[tokio::test]
async fn whoever_hangs_up_is_no_longer_in_flight(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start_with(db, &[("DB_DEADLINE", "60s")]).await;
    let lock = app.database.lock_writers();
    let post = |name: &str| {
        let body = user(name, &format!("{name}@example.com")).to_string();
        let mut raw = Raw::begin_post(app.address(), "/api/v2/users", body.len());
        raw.write(&body);
        raw
    };
    let _taken = post("first");
    // A scrape is in flight, too.
    tells(&app, "http_requests_in_flight", |requests| requests == 2.0).await;
    tells(&app, "db_messages_waiting{lane=\"writes\"}", |waiting| waiting == 0.0).await;
    let waits = post("second");
    tells(&app, "db_messages_waiting{lane=\"writes\"}", |waiting| waiting == 1.0).await;
    tells(&app, "db_expected_wait_seconds{lane=\"writes\"}", |wait| wait > 0.0).await;
    drop(waits);
    tells(&app, "http_requests_in_flight", |requests| requests == 2.0).await;
    drop(lock);
    tells(&app, "db_messages_abandoned_total{lane=\"writes\"}", |abandoned| abandoned == 1.0).await;
    tells(&app, "users_created_total", |created| created == 1.0).await;
}

#[tokio::test]
async fn a_database_that_is_away_is_told() {
    let (dir, mut postgres) = (TempDir::new().unwrap(), Postgres::planned());
    let server = Server::listening(Program::new(dir.path()).env("DATABASE_URL", postgres.url()));
    tells(&server, "db_up", |up| up == 0.0).await;
    server.get("/api/v2/users/1").answer().await.expect(503);
    tells(&server, "db_messages_refused_total{lane=\"lookups\"}", |refused| refused == 1.0).await;
    postgres.start().await;
    tells(&server, "db_up", |up| up == 1.0).await;
    postgres.crash();
    server.get("/api/v2/users/1").answer().await.expect(503);
    tells(&server, "db_up", |up| up == 0.0).await;
    let failed = server.metrics().await.sum("db_batches_failed_total", &[("lane", "lookups")]);
    assert!(failed >= 1, "{failed}");
}

#[tokio::test]
async fn refused_tokens_are_counted_by_reason() {
    let app = App::start(Db::Sqlite).await;
    let mut expired = claims("users:read");
    expired["exp"] = json!(now() - 3600);
    let read = async |token: &str| {
        app.anonymous(reqwest::Method::GET, "/api/v2/users").bearer_auth(token).answer().await.status
    };
    assert_eq!(app.anonymous(reqwest::Method::GET, "/api/v2/users").answer().await.status, 401);
    assert_eq!(read("nonsense").await, 401);
    assert_eq!(read(&token(&expired)).await, 401);
    assert_eq!(read(&token(&claims("users:write"))).await, 403);
    let metrics = app.metrics().await;
    for reason in ["no_token", "malformed", "expired", "insufficient_scope"] {
        assert_eq!(metrics.sum("auth_failures_total", &[("reason", reason)]), 1, "{reason}");
    }
    assert_eq!(metrics.sum("auth_failures_total", &[]), 4);
}

#[rstest]
#[tokio::test]
async fn the_build_is_told(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let metrics = app.metrics().await;
    let kind = if matches!(db, Db::Sqlite) { "sqlite" } else { "postgres" };
    let labels = [("version", env!("CARGO_PKG_VERSION")), ("database", kind)];
    assert_eq!(metrics.sum("user_service_build_info", &labels), 1);
    let commit = &metrics.pairs("user_service_build_info", "commit", "version")[0].0;
    assert!(commit.len() >= 7, "{commit}");
    assert!(metrics.value("process_start_time_seconds") > 1e9);
}
