//! How many users a list without a filter says there are.

use std::time::Duration;

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{Answered, App, Connection, Db, Server, until, user};

const USERS: &str = "/api/v2/users";
const SOON: Duration = Duration::from_secs(20);

async fn total(server: &Server) -> i64 {
    let page = server.get(&format!("{USERS}?include_total=true&page_size=1")).answer().await.body(200);
    page["total"].as_i64().unwrap()
}

async fn create(app: &App, tag: &str, count: i64) {
    let create = |n| json!({ "create": user("N", &format!("{tag}{n}@b.co")) });
    let operations: Vec<Value> = (0..count).map(create).collect();
    app.post(&format!("{USERS}:batchWrite"), &json!({ "operations": operations })).answer().await.body(200);
}

fn stored(sql: &mut Connection) -> Vec<String> {
    sql.facts("SELECT CAST(total AS text) AS fact FROM user_counts")
}

/// Waits until the service has the number, which on PostgreSQL it stores only after somebody has asked.
async fn known(sql: &mut Connection) {
    until("the number is stored", SOON, async || !stored(sql).is_empty()).await;
}

/// Adds to the stored number, to show whether it is what lists say.
const TAMPER: &str = "UPDATE user_counts SET total = total + 1000000";

#[rstest]
#[tokio::test]
async fn follows_every_write(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let mut sql = app.database.connect();
    create(&app, "a", 5).await;
    assert_eq!(total(&app).await, 5);
    if matches!(db, Db::Postgres) {
        known(&mut sql).await;
    }
    app.create("B", "b@b.co").await;
    app.post(USERS, &user("B", "b@b.co")).answer().await.problem(409, "email_taken");
    assert_eq!(total(&app).await, 6);
    app.put(&format!("{USERS}/2"), &user("C", "c@b.co")).answer().await.body(200);
    app.delete(&format!("{USERS}/1")).answer().await.expect(204);
    app.delete(&format!("{USERS}/1")).answer().await.problem(404, "user_not_found");
    assert_eq!(total(&app).await, 5);
    let refused = json!({ "atomic": true, "operations": [
        { "create": user("D", "d@b.co") }, { "delete": { "id": 1 } },
    ]});
    app.post(&format!("{USERS}:batchWrite"), &refused).answer().await.problem(404, "user_not_found");
    let both = json!({ "atomic": true, "operations": [
        { "create": user("D", "d@b.co") }, { "create": user("E", "e@b.co") }, { "delete": { "id": 2 } },
    ]});
    app.post(&format!("{USERS}:batchWrite"), &both).answer().await.body(200);
    assert_eq!(total(&app).await, 6);
    let create = || app.post(USERS, &user("F", "f@b.co")).header("idempotency-key", "k");
    for _ in 0..2 {
        create().answer().await.body(201);
        assert_eq!(total(&app).await, 7);
    }
    let file = [user("N", "n@b.co"), user("F", "f@b.co")].map(|user| format!("{user}\n")).concat();
    let import =
        app.request(Method::PUT, "/api/v2/imports/a?on_conflict=update").header("content-type", "application/x-ndjson");
    import.body(file).answer().await.body(200);
    assert_eq!(total(&app).await, 8);
    if matches!(db, Db::Sqlite) {
        return;
    }
    // With a filter they are counted.
    let before = total(&app).await;
    sql.run(TAMPER);
    assert_eq!(total(&app).await, before + 1_000_000);
    let filtered = app.get(&format!("{USERS}?include_total=true&name_prefix=n")).answer().await.body(200);
    assert_eq!(filtered["total"], 4);
}

/// The stored number moves on, so that no request reads many events.
#[tokio::test]
async fn moves_on_with_the_log() {
    let app = App::start(Db::Postgres).await;
    let mut sql = app.database.connect();
    assert_eq!(total(&app).await, 0);
    known(&mut sql).await;
    create(&app, "a", 1_000).await;
    create(&app, "b", 1_000).await;
    app.delete(&format!("{USERS}/7")).answer().await.expect(204);
    until("the number has moved on", SOON, async || stored(&mut sql) != ["0"]).await;
    assert_eq!(total(&app).await, 1_999);
    // Events that are pruned are part of the number.
    sql.run("DELETE FROM events WHERE id <= (SELECT position FROM user_counts)");
    sql.run("UPDATE event_log SET pruned_to = (SELECT position FROM user_counts)");
    assert_eq!(total(&app).await, 1_999);
    sql.run(TAMPER);
    assert_eq!(total(&app).await, 1_001_999);
    // A number that the log does not reach any more does not hold.
    sql.run("UPDATE event_log SET pruned_to = pruned_to + 1");
    assert_eq!(total(&app).await, 1_999);
}

/// A change without an event makes PostgreSQL's number worthless, until it is counted anew.
#[rstest]
#[tokio::test]
async fn is_right_after_sql_by_hand(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let mut app = App::start(db).await;
    let mut sql = app.database.connect();
    create(&app, "a", 9).await;
    assert_eq!(total(&app).await, 9);
    if matches!(db, Db::Postgres) {
        known(&mut sql).await;
        sql.run(TAMPER);
        assert_eq!(total(&app).await, 1_000_009);
    }
    sql.run("DELETE FROM users WHERE id IN (1, 2)");
    assert_eq!(total(&app).await, 7);
    create(&app, "b", 2).await;
    assert_eq!(total(&app).await, 9);
    // A process counts anew at once, and then once a minute.
    app.restart().await;
    assert_eq!(total(&app).await, 9);
    if matches!(db, Db::Postgres) {
        until("it is counted anew", SOON, async || stored(&mut sql).concat().len() == 1).await;
    }
    create(&app, "c", 1).await;
    assert_eq!(total(&app).await, 10);
    sql.run(if matches!(db, Db::Postgres) { "TRUNCATE users" } else { "DELETE FROM users" });
    assert_eq!(total(&app).await, 0);
}

/// What is not committed does not count, whatever was committed behind it.
#[tokio::test]
async fn leaves_out_what_is_not_committed() {
    let app = App::start(Db::Postgres).await;
    let mut sql = app.database.connect();
    create(&app, "a", 3).await;
    assert_eq!(total(&app).await, 3);
    known(&mut sql).await;
    let mut open = app.database.connect();
    open.run("BEGIN; DELETE FROM users WHERE id = 1");
    for batch in 0..3 {
        create(&app, &format!("b{batch}"), 500).await;
        assert_eq!(total(&app).await, 3 + 500 * (batch + 1));
    }
    open.run("COMMIT");
    assert_eq!(total(&app).await, 1_502);
}

#[tokio::test]
async fn is_the_same_at_every_replica() {
    let app = App::start(Db::Postgres).await;
    let other = Server::listening(app.database.program());
    other.ready().await;
    for round in 1..=4 {
        create(&app, &format!("a{round}"), 600).await;
        assert_eq!((total(&other).await, total(&app).await), (600 * round, 600 * round));
    }
}
