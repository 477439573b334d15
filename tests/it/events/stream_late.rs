//! The live stream with several replicas, and with transactions that commit late: no stream misses an event, and each
//! user's events keep their order.

use std::collections::HashMap;
use std::time::Duration;

use rstest::rstest;
use serde_json::json;

use crate::support::{Answered, App, Connection, Db, LiveStream, Server, Told, at_once};

const A_WHILE: Duration = Duration::from_millis(700);

/// Writes the deletion of a user that never existed, in a transaction that stays open.
fn begin_late(app: &App) -> Connection {
    let mut late = app.database.connect();
    late.run(
        "BEGIN; INSERT INTO events (kind, user_id, version, occurred_at, salt)
        VALUES (3, 999, 7, CURRENT_TIMESTAMP, 1)",
    );
    late
}

fn user_ids(events: &[Told]) -> Vec<i64> {
    events.iter().map(Told::user_id).collect()
}

#[tokio::test]
async fn whoever_commits_late_is_waited_for() {
    let app = App::start(Db::Postgres).await;
    let mut stream = LiveStream::open(&app).await;
    app.create("John", "john@example.com").await;
    assert_eq!(stream.next().await.unwrap().user_id(), 1);
    let mut late = begin_late(&app);
    app.create("Jane", "jane@example.com").await;
    app.create("Joe", "joe@example.com").await;
    assert!(stream.is_silent_for(A_WHILE).await, "an earlier event is not committed yet");
    late.run("COMMIT");
    assert_eq!(user_ids(&stream.take(3).await), [999, 2, 3]);
}

#[tokio::test]
async fn whoever_gives_up_is_not_waited_for_any_more() {
    let app = App::start(Db::Postgres).await;
    let mut stream = LiveStream::open(&app).await;
    let mut late = begin_late(&app);
    app.create("Jane", "jane@example.com").await;
    assert!(stream.is_silent_for(A_WHILE).await);
    late.run("ROLLBACK");
    assert_eq!(stream.next().await.unwrap().user_id(), 1);
}

/// A stream that opens meanwhile may deliver events committed before, but must deliver all later ones.
#[tokio::test]
async fn whoever_begins_meanwhile_misses_nothing() {
    let app = App::start(Db::Postgres).await;
    let mut late = begin_late(&app);
    let mut stream = LiveStream::open(&app).await;
    app.create("Jane", "jane@example.com").await;
    late.run("COMMIT");
    assert_eq!(user_ids(&stream.take(2).await), [999, 1]);
    let mut again = LiveStream::resume(&app, 0).await;
    assert_eq!(user_ids(&again.take(2).await), [999, 1]);
}

/// The same holds for a stream that resumes far before the newest events.
#[tokio::test]
async fn whoever_skips_the_past_misses_nothing() {
    let app = App::start(Db::Postgres).await;
    let mut late = begin_late(&app);
    app.database.connect().run(
        "INSERT INTO events (kind, user_id, version, occurred_at, salt)
        SELECT 3, 500, version, CURRENT_TIMESTAMP, 1 FROM generate_series(1, 6000) AS version",
    );
    let resume = async { LiveStream::resume(&app, 0).await };
    let commit = async {
        tokio::time::sleep(A_WHILE).await;
        late.run("COMMIT");
    };
    let (mut stream, ()) = futures::join!(resume, commit);
    let told = stream.take(6001).await;
    assert_eq!(told[0].user_id(), 999);
}

#[tokio::test]
async fn nobody_waits_for_a_transaction_that_writes_something_else() {
    let app = App::start(Db::Postgres).await;
    let mut other = app.database.connect();
    other.run("CREATE TABLE other (x INT)");
    other.run("BEGIN; INSERT INTO other VALUES (1); SELECT count(*) FROM users");
    let mut stream = LiveStream::open(&app).await;
    app.database.connect().run("SELECT nextval(pg_get_serial_sequence('events', 'id'))");
    app.create("John", "john@example.com").await;
    assert_eq!(stream.next().await.unwrap().user_id(), 1);
    other.run("COMMIT");
}

#[rstest]
#[tokio::test]
async fn what_changes_through_one_replica_is_told_by_the_other(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    const CLIENTS: usize = 16;
    const TURNS: usize = 25;
    let app = App::start(db).await;
    let other = Server::listening(app.database.program());
    other.ready().await;
    let replicas = [&*app, &other];
    let mut streams = [LiveStream::open(&app).await, LiveStream::open(&other).await];
    at_once(CLIENTS, async |client: usize| {
        let id = app.create("John", &format!("john{client}@example.com")).await["id"].clone();
        for turn in 0..TURNS {
            let patch = json!({ "name": format!("{turn}") });
            replicas[(client + turn) % 2].patch(&format!("/api/v2/users/{id}"), &patch).answer().await.expect(200);
        }
    })
    .await;
    let told = [streams[0].take(CLIENTS * (TURNS + 1)).await, streams[1].take(CLIENTS * (TURNS + 1)).await];
    assert_eq!(told[0], told[1]);
    let mut versions = HashMap::new();
    for told in &told[0] {
        let version = versions.entry(told.user_id()).or_insert(0);
        *version += 1;
        assert_eq!(told.version(), *version, "of user {}", told.user_id());
    }
    assert_eq!(versions.len(), CLIENTS);
}
