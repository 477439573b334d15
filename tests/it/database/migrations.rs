//! `migrate`, and starts with and without migrations.

use std::thread;
use std::time::Duration;

use rstest::rstest;
use serde_json::json;

use crate::support::{Answered, App, Database, Db, Server, until, user};

const REPLICAS: usize = 4;

fn versions(database: &Database) -> Vec<String> {
    database.connect().facts("SELECT version AS fact FROM __diesel_schema_migrations ORDER BY version")
}

/// Runs a function several times at once, as replicas do that start together.
fn together<T: Send>(replica: impl Fn() -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let replicas: Vec<_> = (0..REPLICAS).map(|_| scope.spawn(&replica)).collect();
        replicas.into_iter().map(|replica| replica.join().expect("a replica")).collect()
    })
}

#[rstest]
fn migrate_runs_them_alone_and_again(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let database = db.fresh();
    database.program().args(["migrate"]).run().succeeded();
    let applied = versions(&database);
    assert!(!applied.is_empty());
    database.program().args(["migrate"]).run().succeeded();
    assert_eq!(versions(&database), applied);
}

#[rstest]
fn migrate_may_run_several_times_at_once(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let database = db.fresh();
    for output in together(|| database.program().args(["migrate"]).run()) {
        output.succeeded();
    }
}

#[rstest]
#[tokio::test]
async fn replicas_may_start_at_once(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let database = db.fresh();
    let replicas = together(|| Server::listening(database.program()));
    for (number, replica) in replicas.iter().enumerate() {
        replica.ready().await;
        replica.create("John", &format!("john{number}@example.com")).await;
    }
    for replica in &replicas {
        assert_eq!(replica.everyone().await.len(), REPLICAS);
    }
}

#[rstest]
#[tokio::test]
async fn a_start_without_them_is_not_ready_and_says_so(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let database = db.fresh();
    let server = Server::listening(database.program().env("DB_AUTO_MIGRATE", "false"));
    until("/ready names the migrations", Duration::from_secs(5), async || {
        server.get("/ready").answer().await.json()["failing"] == "migrations"
    })
    .await;
    let not_ready = server.get("/ready").answer().await.body(503);
    assert_eq!((&not_ready["ready"], &not_ready["failing"]), (&json!(false), &json!("migrations")));
    assert!(not_ready["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{not_ready}");
    server.get("/health").answer().await.body(200);
    server.get("/api/v2/users/1").answer().await.problem(503, "unavailable");
    server.get("/api/v2/users").answer().await.problem(503, "unavailable");
    server.post("/api/v2/users", &user("John", "john@example.com")).answer().await.problem(503, "unavailable");
    server.get("/api/v1/users").answer().await.error(503);

    database.program().args(["migrate"]).run().succeeded();
    server.ready().await;
    server.create("John", "john@example.com").await;
}

#[rstest]
#[tokio::test]
async fn a_start_that_finds_them_done_is_ready(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let database = db.fresh();
    database.program().args(["migrate"]).run().succeeded();
    let server = Server::listening(database.program().env("DB_AUTO_MIGRATE", "false"));
    server.ready().await;
    server.create("John", "john@example.com").await;
}

#[rstest]
#[tokio::test]
async fn migrating_again_keeps_the_users(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let mut app = App::start(db).await;
    app.create("John", "john@example.com").await;
    let before = app.everyone().await;
    app.database.program().args(["migrate"]).run().succeeded();
    app.restart().await;
    assert_eq!(app.everyone().await, before);
}
