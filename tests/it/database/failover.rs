//! PostgreSQL still answers but has changed: it is a standby, read-only for a while, or has columns of another type.

use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use crate::support::{Answered, App, Db, LiveStream, MovingAddress, Postgres, Program, Server, until, user};

/// Time for a check of the keeper and a new connection, even on a busy machine.
const SOON: Duration = Duration::from_secs(20);

/// Reads are answered, and writes are refused before an attempt.
async fn is_read_only(server: &Server) {
    server.fails_for("read_only").await;
    assert_eq!(server.get("/api/v2/users/1").answer().await.body(200)["name"], "John");
    assert_eq!(server.get("/api/v1/users").answer().await.body(200).as_array().unwrap().len(), 1);
    let mut stream = LiveStream::resume(server, 0).await;
    assert_eq!(stream.take(1).await[0].user_id(), 1);
    let jane = user("Jane", "jane@example.com");
    server.post("/api/v2/users", &jane).answer().await.problem(503, "unavailable");
    server.put("/api/v1/users/1", &jane).answer().await.error(503);
    let metrics = server.metrics().await;
    assert_eq!((metrics.value("db_up"), metrics.sum("db_failing", &[("check", "read_only")])), (0.0, 1));
}

async fn is_written_again(server: &Server) {
    until("writes are accepted", SOON, async || {
        matches!(server.post("/api/v2/users", &user("Jane", "jane@example.com")).answer().await.status, 201 | 409)
    })
    .await;
    server.ready().await;
    let metrics = server.metrics().await;
    assert_eq!((metrics.value("db_up"), metrics.sum("db_failing", &[])), (1.0, 0));
}

/// The old primary becomes read-only and keeps its connections. The address moves to its standby, which is promoted
/// later.
#[tokio::test]
async fn a_standby_is_read_and_written_once_it_is_promoted() {
    let primary = Postgres::started().await;
    let address = MovingAddress::of(primary.address()).await;
    let (dir, url) = (TempDir::new().unwrap(), format!("postgres://postgres@127.0.0.1:{}/postgres", address.port()));
    let server = Server::listening(Program::new(dir.path()).env("DATABASE_URL", url));
    server.ready().await;
    server.create("John", "john@example.com").await;
    let mut stream = LiveStream::open(&server).await;
    let standby = primary.standby().await;
    primary.connect().run("ALTER SYSTEM SET default_transaction_read_only = on");
    address.move_to(standby.address());
    primary.connect().run("SELECT pg_reload_conf()");
    is_read_only(&server).await;
    standby.promote();
    is_written_again(&server).await;
    assert_eq!(stream.take(1).await[0].data["data"]["name"], "Jane");
    let mut promoted = standby.connect();
    assert_eq!(promoted.facts("SELECT name AS fact FROM users ORDER BY id"), ["John", "Jane"]);
}

/// New connections take over the setting and keep it until they close.
#[tokio::test]
async fn a_read_only_setting_lasts_no_longer_than_it_is_set() {
    let app = App::start(Db::Postgres).await;
    app.create("John", "john@example.com").await;
    app.database.connect().run(&alter_database("SET default_transaction_read_only = on"));
    app.database.break_connections();
    is_read_only(&app).await;
    let mut other = app.database.connect();
    other.run("SET default_transaction_read_only = off");
    other.run(&alter_database("RESET default_transaction_read_only"));
    is_written_again(&app).await;
}

fn alter_database(what: &str) -> String {
    format!("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I {what}', current_database()); END $$")
}

/// A statement that was prepared before fails from then on, in every connection that has it.
#[tokio::test]
async fn a_column_of_another_type_costs_nobody_an_answer() {
    let app = App::start(Db::Postgres).await;
    app.create("John", "john@example.com").await;
    let statuses = async || {
        let john = user("John", "john@example.com");
        let mut statuses = Vec::new();
        for request in [
            app.get("/api/v2/users/1"),
            app.get("/api/v2/users?email=john@example.com"),
            app.get("/api/v2/users"),
            app.get("/api/v2/users?name_prefix=jo"),
            app.put("/api/v2/users/1", &john),
            app.patch("/api/v2/users/1", &json!({ "name": "John" })),
        ] {
            statuses.push(request.answer().await.status);
        }
        statuses
    };
    let well = vec![200; 6];
    assert_eq!(statuses().await, well);
    app.database.connect().run("ALTER TABLE users ALTER COLUMN name TYPE varchar(200)");
    assert_eq!(statuses().await, well);
    app.database.connect().run("ALTER TABLE users ALTER COLUMN name TYPE text");
    until("all requests succeed again", SOON, async || statuses().await == well).await;
}
