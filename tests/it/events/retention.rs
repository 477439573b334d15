//! Pruning of old events: `EVENTS_RETENTION`, `EVENTS_PARKED_RETENTION` and `EVENTS_MAX_PARKED`.

use std::time::Duration;

use rstest::rstest;
use tokio::time::sleep;

use crate::support::{App, Connection, Database, Db, Server, until};

const SOON: Duration = Duration::from_secs(20);
const OLD: &str = "'2020-01-01 00:00:00.000000'";
const YOUNG: &str = "'2100-01-01 00:00:00.000000'";
const MINUTE: [(&str, &str); 2] = [("EVENTS_RETENTION", "1m"), ("EVENTS_PARKED_RETENTION", "1m")];

/// A database with old and then young events, which no server has used yet.
fn logged(db: Db, old: usize, young: usize) -> (Database, Connection) {
    let database = db.fresh();
    database.program().args(["migrate"]).run().succeeded();
    let mut connection = database.connect();
    for (count, when) in [(old, OLD), (young, YOUNG)] {
        connection.run(&format!(
            "INSERT INTO events (kind, user_id, version, occurred_at, salt)
            WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})
            SELECT 3, n, 2, {when}, n FROM numbers WHERE n <= {count}"
        ));
    }
    (database, connection)
}

/// Holds an event, and parks it unless `parked_at` is NULL.
fn hold(connection: &mut Connection, event: usize, parked_at: &str) {
    connection.run(&format!("INSERT INTO held_events VALUES ({event}, {event}, 1, {parked_at})"));
}

/// Simulates another replica that leads and has published events.
fn relay(connection: &mut Connection, sent_to: usize) {
    connection.run(&format!("UPDATE event_log SET leader = 'other', beat = beat + 1, sent_to = {sent_to}"));
}

fn left(connection: &mut Connection) -> Vec<String> {
    connection.facts("SELECT CAST(id AS TEXT) AS fact FROM events ORDER BY id")
}

fn number(connection: &mut Connection, sql: &str) -> usize {
    connection.facts(&format!("SELECT CAST(({sql}) AS TEXT) AS fact"))[0].parse().expect("a number")
}

async fn until_left(connection: &mut Connection, events: &[&str]) {
    until(&format!("{events:?} are left"), SOON, async || left(connection) == events).await;
}

async fn pruned(server: &Server) -> f64 {
    server.metrics().await.value("events_pruned_total")
}

#[rstest]
#[tokio::test]
async fn old_events_go_and_young_ones_stay(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (database, mut connection) = logged(db, 2500, 2);
    let app = App::on(database, &MINUTE).await;
    until_left(&mut connection, &["2501", "2502"]).await;
    until("every pruned event is counted", SOON, async || pruned(&app).await == 2500.0).await;
    assert_eq!(number(&mut connection, "SELECT pruned_to FROM event_log"), 2500);
    // The offset of a pruned event is never used again.
    app.create("John", "john@example.com").await;
    assert_eq!(left(&mut connection), ["2501", "2502", "2503"]);
}

#[rstest]
#[tokio::test]
async fn a_week_is_kept_unless_it_is_said_otherwise(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (database, mut connection) = logged(db, 2, 1);
    let app = App::on(database, &[]).await;
    until_left(&mut connection, &["3"]).await;
    app.create("John", "john@example.com").await;
    assert_eq!(left(&mut connection), ["3", "4"]);
}

#[rstest]
#[tokio::test]
async fn what_another_replica_has_yet_to_send_stays(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (database, mut connection) = logged(db, 5, 0);
    relay(&mut connection, 3);
    let mut app = App::on(database, &MINUTE).await;
    until_left(&mut connection, &["4", "5"]).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(left(&mut connection), ["4", "5"]);
    relay(&mut connection, 4);
    app.restart_with(&MINUTE).await;
    until_left(&mut connection, &["5"]).await;
}

#[rstest]
#[tokio::test]
async fn held_events_are_spared_until_they_are_held_no_longer(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (database, mut connection) = logged(db, 5, 0);
    relay(&mut connection, 5);
    hold(&mut connection, 2, "NULL");
    hold(&mut connection, 4, YOUNG);
    let mut app = App::on(database, &MINUTE).await;
    until_left(&mut connection, &["2", "4"]).await;
    // Parked long ago.
    connection.run(&format!("UPDATE held_events SET parked_at = {OLD} WHERE event_id = 4"));
    app.restart_with(&MINUTE).await;
    until_left(&mut connection, &["2"]).await;
    assert_eq!(number(&mut connection, "SELECT count(*) FROM held_events"), 1);
    // No replica relays any more.
    connection.run("UPDATE event_log SET leader = NULL, beat = 0");
    app.restart_with(&MINUTE).await;
    until_left(&mut connection, &[]).await;
    assert_eq!(number(&mut connection, "SELECT count(*) FROM held_events"), 0);
}

#[rstest]
#[tokio::test]
async fn only_so_many_are_kept_of_those_given_up(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (database, mut connection) = logged(db, 3, 3);
    relay(&mut connection, 6);
    for event in [1, 2, 3, 4, 5] {
        hold(&mut connection, event, YOUNG);
    }
    let _app = App::on(database, &[("EVENTS_MAX_PARKED", "2")]).await;
    // The third event exceeds `EVENTS_MAX_PARKED`, but is young itself; the first two are old.
    connection.run(&format!("UPDATE events SET occurred_at = {YOUNG} WHERE id = 3"));
    until_left(&mut connection, &["3", "4", "5", "6"]).await;
    let held = "SELECT CAST(event_id AS TEXT) AS fact FROM held_events ORDER BY event_id";
    assert_eq!(connection.facts(held), ["4", "5"]);
}

#[rstest]
#[tokio::test]
async fn two_replicas_forget_each_event_once(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (database, mut connection) = logged(db, 20_000, 1);
    let other = Server::listening(database.program().envs(&MINUTE));
    let app = App::on(database, &MINUTE).await;
    other.ready().await;
    until_left(&mut connection, &["20001"]).await;
    let all = async || pruned(&app).await + pruned(&other).await;
    until("every event is counted once", SOON, async || all().await == 20_000.0).await;
    for server in [&*app, &other] {
        assert!(!server.log().contains("the log of events"), "{}", server.log());
    }
}

#[rstest]
#[tokio::test]
async fn a_crash_between_two_batches_loses_nothing(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (database, mut connection) = logged(db, 40_000, 3);
    let mut app = App::on(database, &MINUTE).await;
    let some_are_gone = async || number(&mut connection, "SELECT pruned_to FROM event_log") > 0;
    until("pruning has begun", SOON, some_are_gone).await;
    app.kill();
    let pruned_to = number(&mut connection, "SELECT pruned_to FROM event_log");
    assert!(pruned_to < 40_000, "the server was killed while it pruned");
    assert_eq!(number(&mut connection, "SELECT min(id) FROM events"), pruned_to + 1);
    assert_eq!(number(&mut connection, "SELECT count(*) FROM events"), 40_003 - pruned_to);
    app.restart_with(&MINUTE).await;
    until_left(&mut connection, &["40001", "40002", "40003"]).await;
}

#[rstest]
#[tokio::test]
async fn the_backlog_is_told(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (database, mut connection) = logged(db, 7, 1);
    relay(&mut connection, 5);
    hold(&mut connection, 2, "NULL");
    hold(&mut connection, 3, "NULL");
    hold(&mut connection, 4, YOUNG);
    let app = App::on(database, &[]).await;
    let tells = async |series: &str, what: &dyn Fn(f64) -> bool| {
        until(series, SOON, async || what(app.metrics().await.value(series))).await;
    };
    tells("events_pending", &|pending| pending == 3.0).await;
    tells("events_held", &|held| held == 2.0).await;
    tells("events_parked", &|parked| parked == 1.0).await;
    for age in ["events_oldest_pending_age_seconds", "events_oldest_held_age_seconds"] {
        tells(age, &|seconds| seconds > 100_000_000.0).await;
    }
    connection.run("DELETE FROM held_events WHERE event_id < 4");
    relay(&mut connection, 7);
    // An event from the future has no age.
    tells("events_oldest_pending_age_seconds", &|seconds| seconds == 0.0).await;
    tells("events_held", &|held| held == 0.0).await;
    tells("events_oldest_held_age_seconds", &|seconds| seconds == 0.0).await;
    assert_eq!(app.metrics().await.value("events_pending"), 1.0);
}

#[rstest]
#[tokio::test]
async fn without_a_relay_nothing_waits(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (database, mut connection) = logged(db, 0, 3);
    let app = App::on(database, &[]).await;
    sleep(Duration::from_secs(1)).await;
    for gauge in ["events_pending", "events_oldest_pending_age_seconds", "events_relay_enabled", "events_relay_leader"]
    {
        assert_eq!(app.metrics().await.value(gauge), 0.0, "{gauge}");
    }
    relay(&mut connection, 1);
    until("the backlog is reported", SOON, async || app.metrics().await.value("events_pending") == 2.0).await;
}
