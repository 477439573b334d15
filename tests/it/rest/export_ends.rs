//! The export: what ends it early, how its client notices, and what a client that does not read costs.

use std::time::Duration;

use rstest::rstest;
use serde_json::json;

use crate::support::{
    Answered, App, Connection, Db, EXPORT, Export, LiveStream, SECRET, TOKEN, claims, lose_events, now, running_export,
    seeded, stuck_export, token, until,
};

/// More than a connection keeps for a client that does not read: a running export does not end by itself.
const MANY: u32 = 40_000;
const SOON: Duration = Duration::from_secs(15);

async fn is_running(app: &App, exports: f64) -> bool {
    app.metrics().await.value("exports_running") == exports
}

async fn failed(app: &App) -> f64 {
    app.metrics().await.value("exports_failed_total")
}

async fn all_have_ended(app: &App) {
    until("no export runs", SOON, async || is_running(app, 0.0).await).await;
}

#[tokio::test]
async fn a_client_that_pauses_gets_all_of_it() {
    let app = seeded(Db::Sqlite, MANY, &[]).await;
    let mut export = running_export(&app);
    app.get("/health").answer().await.expect(200);
    assert!(is_running(&app, 1.0).await);
    let rest = export.rest_of_chunks().unwrap();
    assert!(rest.ends_with(&format!("{{\"end\":{{\"users\":{MANY}}}}}\n")));
    all_have_ended(&app).await;
    assert_eq!(failed(&app).await, 0.0);
}

#[rstest]
#[tokio::test]
async fn a_shutdown_cuts_it(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let mut app = seeded(db, MANY, &[("SHUTDOWN_DELAY", "2s")]).await;
    let mut export = running_export(&app);
    app.signal("TERM");
    until("the shutdown has begun", SOON, async || app.log().contains("shutting down")).await;
    app.get(EXPORT).answer().await.problem(503, "overloaded");
    let error = export.rest_of_chunks().unwrap_err();
    assert!(!error.contains("\"end\""), "{error}");
    assert_eq!(app.exit(SOON).await.code(), Some(0));
}

#[tokio::test]
async fn it_does_not_outlive_its_token() {
    let app = seeded(Db::Sqlite, MANY, &[("JWT_LEEWAY", "1s"), ("JWT_SECRET", SECRET)]).await;
    let mut short = claims("users:read");
    short["exp"] = json!(now() + 2);
    let mut export = stuck_export(&app, &token(&short));
    export.beginning_of_answer().unwrap();
    until("the token has expired", SOON, async || {
        app.anonymous(reqwest::Method::GET, "/api/v2/users").bearer_auth(token(&short)).answer().await.status == 401
    })
    .await;
    export.rest_of_chunks().unwrap_err();
    all_have_ended(&app).await;
    assert_eq!(failed(&app).await, 1.0);
}

/// The log that the export began with is no more: users may be in it that never existed.
#[rstest]
#[tokio::test]
async fn another_database_cuts_it(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = seeded(db, MANY, &[]).await;
    for number in 0..3 {
        app.create("John", &format!("john{number}@example.com")).await;
    }
    let mut export = running_export(&app);
    app.database.connect().run("DELETE FROM events WHERE id > 1");
    export.rest_of_chunks().unwrap_err();
    all_have_ended(&app).await;
    assert_eq!(failed(&app).await, 1.0);
}

/// The stream would not accept where the export says to go on: it takes clients with this offset for those of the log that
/// is lost.
#[rstest]
#[tokio::test]
async fn after_a_failover_that_lost_events_there_is_none_for_a_while(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let mut stream = LiveStream::open(&app).await;
    for number in 0..5 {
        app.create("John", &format!("john{number}@example.com")).await;
    }
    stream.take(5).await;
    assert_eq!(Export::of(&app).await.resume_after, 5);
    lose_events(&mut app.database.connect(), 2, 3);
    assert_eq!(stream.take_all().await, []);
    app.get("/api/v2/events").header("last-event-id", "3").answer().await.problem(410, "events_gone");
    app.get(EXPORT).answer().await.problem(503, "unavailable");
}

/// The connections were lost, and are opened again.
#[tokio::test]
async fn a_lost_connection_does_not_end_it() {
    let app = seeded(Db::Postgres, MANY, &[]).await;
    let mut export = running_export(&app);
    app.database.break_connections();
    let rest = export.rest_of_chunks().unwrap();
    assert!(rest.ends_with(&format!("{{\"end\":{{\"users\":{MANY}}}}}\n")));
}

#[tokio::test]
async fn without_a_database_there_is_none() {
    let app = App::start(Db::Sqlite).await;
    app.database.connect().run("ALTER TABLE users RENAME TO others");
    let answer = app.get(EXPORT).answer().await;
    assert!(answer.status >= 500, "{answer:?}");
    assert!(!answer.headers.contains_key("resume-after"));
}

#[rstest]
#[tokio::test]
async fn there_are_no_more_than_eight(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = seeded(db, MANY, &[]).await;
    let before = app.memory();
    let exports = Vec::from_iter((0..8).map(|_| running_export(&app)));
    app.get(EXPORT).answer().await.problem(503, "overloaded");
    app.head(EXPORT).answer().await.empty(200);
    // Nobody reads, so nothing is read for them, and no transaction is open.
    let mut connection = app.database.connect();
    until("no transaction is open", SOON, async || are_idle(&mut connection, &app)).await;
    let each = app.memory().saturating_sub(before) / 8;
    assert!(each < 3 << 20, "{each} bytes each");
    drop(exports);
    all_have_ended(&app).await;
    assert_eq!(failed(&app).await, 8.0, "the clients have left");
    assert_eq!(Export::of(&app).await.users.len(), MANY as usize);
}

/// Whether nothing holds back the WAL, or on PostgreSQL vacuum.
fn are_idle(connection: &mut Connection, app: &App) -> bool {
    if let Connection::Sqlite(_) = connection {
        connection.run("PRAGMA wal_checkpoint(TRUNCATE)");
        return std::fs::metadata(app.database.file().with_extension("db-wal")).unwrap().len() == 0;
    }
    let open = "SELECT count(*)::text AS fact FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL";
    connection.facts(open) == ["0"]
}

#[tokio::test]
async fn a_client_that_does_not_read_is_given_up() {
    let app = seeded(Db::Sqlite, MANY, &[("RESPONSE_TIMEOUT", "1s")]).await;
    let mut export = stuck_export(&app, &TOKEN);
    until("it has begun", SOON, async || is_running(&app, 1.0).await).await;
    all_have_ended(&app).await;
    export.beginning_of_answer().and_then(|_| export.rest_of_chunks()).unwrap_err();
    assert_eq!(failed(&app).await, 1.0);
}
