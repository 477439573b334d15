//! Failures of the relay: no event is lost, none overtakes another of the same user, and no request waits.

use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::json;

use crate::support::{
    Answered, App, Changes, Connection, Consumer, Database, Db, Queue, RabbitMq, Server, Vhost, at_once, until,
};

const CLIENTS: usize = 8;
const LIMIT: Duration = Duration::from_mins(1);
/// Two of the relay's longest pauses, each with an attempt that the broker leaves without a response.
const RECONNECTED: Duration = Duration::from_secs(90);

async fn published(server: &Server) -> f64 {
    server.metrics().await.value("events_published_total")
}

/// Makes changes by several clients while something happens.
async fn meanwhile(changes: &Changes, server: &Server, name: &str, happens: impl Future<Output = ()>) {
    let clients = at_once(CLIENTS, async |client: usize| changes.make(server, &format!("{name}.{client}")).await);
    futures::join!(clients, happens);
}

/// Waits until all events have arrived, and checks them.
async fn check(changes: &Changes, app: &App, consumer: &Consumer) {
    let deliveries = consumer.until("all arrive", |deliveries| changes.have_arrived(deliveries)).await;
    changes.check(&deliveries, &app.everyone().await);
}

#[rstest]
#[tokio::test]
async fn a_killed_service_loses_no_event(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let vhost = Vhost::fresh();
    let consumer = Consumer::of(&["user.*"], vhost.url()).await;
    let variables = [("AMQP_URL", vhost.url())];
    let mut app = App::start_with(db, &variables).await;
    let changes = Changes::default();
    for life in 0..20 {
        let killed = async {
            let before = changes.acknowledged();
            // Every other process is killed before it leads.
            if life % 2 == 0 {
                until("the relay publishes", LIMIT, async || published(&app).await > 50.0).await;
            }
            until("changes are acknowledged", LIMIT, async || changes.acknowledged() > before + 100).await;
            app.signal("KILL");
        };
        meanwhile(&changes, &app, &format!("life{life}"), killed).await;
        app.restart_with(&variables).await;
    }
    check(&changes, &app, &consumer).await;
}

/// One broker for all cases, because a start takes seconds.
#[rstest]
#[tokio::test]
async fn a_broker_may_crash_stop_freeze_and_block(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let mut rabbitmq = RabbitMq::started().await;
    let url = rabbitmq.url();
    let app = App::start_with(db, &[("AMQP_URL", &url)]).await;
    let consumer = Consumer::of(&["user.*"], &url).await;
    let changes = Changes::default();
    let trouble = async {
        let goes_on = async || {
            let before = changes.acknowledged();
            until("requests are answered", LIMIT, async || changes.acknowledged() > before + 50).await;
        };
        let relays = async || {
            let before = published(&app).await;
            until("the relay publishes again", RECONNECTED, async || published(&app).await > before).await;
        };
        relays().await;
        rabbitmq.crash();
        goes_on().await;
        rabbitmq.start().await;
        relays().await;
        rabbitmq.stop();
        goes_on().await;
        rabbitmq.start().await;
        relays().await;
        rabbitmq.freeze();
        goes_on().await;
        rabbitmq.thaw();
        relays().await;
        rabbitmq.block_publishers();
        goes_on().await;
        rabbitmq.unblock_publishers();
        relays().await;
        changes.stop();
    };
    meanwhile(&changes, &app, "client", trouble).await;
    check(&changes, &app, &consumer).await;
}

#[rstest]
#[tokio::test]
async fn of_two_replicas_one_relays_and_the_other_takes_over(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let vhost = Vhost::fresh();
    let consumer = Consumer::of(&["user.*"], vhost.url()).await;
    let variables = [("AMQP_URL", vhost.url())];
    let mut app = App::start_with(db, &variables).await;
    let leads = async |server: &Server| server.metrics().await.value("events_relay_leader") == 1.0;
    until("the first one leads", LIMIT, async || leads(&app).await).await;
    let mut leader = Server::listening(app.database.program().envs(&variables));
    leader.ready().await;
    let changes = Changes::default();
    assert!(!leads(&leader).await);
    // To other replicas, a stopped process looks dead. On SQLite it could be stopped while it holds the lock.
    if matches!(db, Db::Postgres) {
        app.signal("STOP");
        until("the other takes over", LIMIT, async || leads(&leader).await).await;
        app.signal("CONT");
    } else {
        app.restart_with(&variables).await;
        until("the other takes over", LIMIT, async || leads(&leader).await).await;
    }
    let killed = async {
        until("the first has noticed", LIMIT, async || !leads(&app).await).await;
        let before = changes.acknowledged();
        until("the relay publishes", LIMIT, async || published(&leader).await > 50.0).await;
        until("changes are acknowledged", LIMIT, async || changes.acknowledged() > before + 100).await;
        leader.signal("KILL");
        until("the first takes over", LIMIT, async || leads(&app).await).await;
        changes.stop();
    };
    meanwhile(&changes, &app, "client", killed).await;
    leader.kill();
    check(&changes, &app, &consumer).await;
}

#[rstest]
#[tokio::test]
async fn an_orderly_end_leaves_the_lead_to_others(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let vhost = Vhost::fresh();
    let variables = [("AMQP_URL", vhost.url()), ("SHUTDOWN_DELAY", "0s")];
    let mut app = App::start_with(db, &variables).await;
    app.create("John", "john@example.com").await;
    until("the event is published", LIMIT, async || published(&app).await == 1.0).await;
    let leader = |database: &Database| {
        database.connect().facts("SELECT coalesce(leader, 'nobody') || ' ' || sent_to AS fact FROM event_log")
    };
    app.signal("TERM");
    assert_eq!(app.exit(LIMIT).await.code(), Some(0));
    assert_eq!(leader(&app.database), ["nobody 1"]);
}

#[rstest]
#[tokio::test]
async fn one_that_is_refused_too_often_is_given_up(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let vhost = Vhost::fresh();
    let full = Queue::of(&["user.updated"]).refusing_beyond(1);
    full.declare(vhost.url()).await;
    let consumer = Consumer::of(&["user.*"], vhost.url()).await;
    let app = App::start_with(db, &[("AMQP_URL", vhost.url()), ("EVENTS_MAX_TRIES", "2")]).await;
    for name in ["a", "b"] {
        app.create("John", &format!("{name}@example.com")).await;
    }
    for id in [1, 2] {
        app.patch(&format!("/api/v2/users/{id}"), &json!({ "name": "Jack" })).answer().await.body(200);
        consumer.until("the first update arrives", |deliveries| deliveries.len() >= 3).await;
    }
    app.delete("/api/v2/users/2").answer().await.empty(204);
    consumer
        .until("a later event of its user arrives", |deliveries| {
            deliveries.iter().any(|delivery| delivery.routing_key == "user.deleted")
        })
        .await;
    let metrics = app.metrics().await;
    assert_eq!((metrics.value("events_refused_total"), metrics.value("events_given_up_total")), (2.0, 1.0));
    let mut database = app.database.connect();
    until("the parked event is stored", LIMIT, async || {
        let held = database.facts("SELECT event_id || ' ' || user_id || ' ' || tries AS fact FROM held_events");
        held == ["4 2 2"]
    })
    .await;
    let parked = database.facts("SELECT 'parked' AS fact FROM held_events WHERE parked_at IS NOT NULL");
    assert_eq!(parked, ["parked"]);
    let retried = app.database.program().args(["retry-parked"]).run().succeeded();
    assert_eq!(retried.stdout, "events to be tried again: 1\n");
    // The queue has room again.
    let _drained = full.consume(vhost.url()).await;
    consumer
        .until("the parked event arrives", |deliveries| {
            deliveries.iter().any(|it| it.routing_key == "user.updated" && it.body["subject"] == "2")
        })
        .await;
    until("no event is held", LIMIT, async || database.facts("SELECT 'held' AS fact FROM held_events").is_empty())
        .await;
}

/// The broker closes the channel because of an event that is too large, and with it everything in flight.
#[tokio::test]
async fn one_that_the_broker_closes_the_channel_over_is_found_out() {
    let rabbitmq = RabbitMq::started().await;
    rabbitmq.limit_messages(480);
    let url = rabbitmq.url();
    let consumer = Consumer::of(&["user.*"], &url).await;
    let mut app = App::start(Db::Sqlite).await;
    for number in 0..20 {
        let name = if number == 7 { "J".repeat(100) } else { "John".to_owned() };
        app.create(&name, &format!("{number}@example.com")).await;
    }
    app.restart_with(&[("AMQP_URL", &url), ("EVENTS_MAX_TRIES", "2")]).await;
    let deliveries = consumer
        .until("all others arrive", |deliveries| {
            let mut ids = Vec::from_iter(deliveries.iter().map(|delivery| delivery.message_id.clone()));
            ids.sort();
            ids.dedup();
            ids.len() == 19
        })
        .await;
    assert!(deliveries.iter().all(|delivery| delivery.body["subject"] != "8"));
    until("the event is parked", LIMIT, async || app.metrics().await.value("events_given_up_total") == 1.0).await;
    app.create("John", "late@example.com").await;
    consumer.until("a later event arrives", |deliveries| deliveries.iter().any(|it| it.body["subject"] == "21")).await;
}

/// As after a restored backup, or a failover that loses the last transactions, while the relay runs.
#[rstest]
#[tokio::test]
async fn a_database_that_was_set_back_is_followed_from_there(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let vhost = Vhost::fresh();
    let consumer = Consumer::of(&["user.*"], vhost.url()).await;
    let app = App::start_with(db, &[("AMQP_URL", vhost.url())]).await;
    for number in 0..10 {
        app.create("John", &format!("{number}@example.com")).await;
    }
    consumer.until("all arrive", |deliveries| deliveries.len() >= 10).await;
    let mut database = app.database.connect();
    until("the progress is stored", LIMIT, async || {
        database.facts("SELECT CAST(sent_to AS TEXT) AS fact FROM event_log") == ["10"]
    })
    .await;
    database.run(match db {
        Db::Sqlite => {
            "BEGIN IMMEDIATE; DELETE FROM events WHERE id > 4; UPDATE sqlite_sequence SET seq = 4 WHERE name = 'events';
            UPDATE event_log SET sent_to = 4; COMMIT"
        }
        Db::Postgres => {
            "BEGIN; DELETE FROM events WHERE id > 4; UPDATE event_log SET sent_to = 4;
            ALTER TABLE events ALTER id RESTART WITH 5; COMMIT"
        }
    });
    app.create("Jane", "jane@example.com").await;
    consumer.until("the next one arrives", |deliveries| deliveries.iter().any(|it| it.body["subject"] == "11")).await;
}

#[rstest]
#[tokio::test]
async fn what_happened_before_there_was_a_broker_is_told(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let vhost = Vhost::fresh();
    let consumer = Consumer::of(&["user.*"], vhost.url()).await;
    let mut app = App::start(db).await;
    app.create("John", "john@example.com").await;
    app.restart_with(&[("AMQP_URL", vhost.url())]).await;
    let deliveries = consumer.until("the event arrives", |deliveries| !deliveries.is_empty()).await;
    assert_eq!(deliveries[0].body["data"]["email"], "john@example.com");
}

/// An event gets its offset before its commit, so later offsets may be committed first.
#[tokio::test]
async fn one_that_is_committed_late_is_not_lost() {
    let vhost = Vhost::fresh();
    let consumer = Consumer::of(&["user.*"], vhost.url()).await;
    let app = App::start_with(Db::Postgres, &[("AMQP_URL", vhost.url())]).await;
    app.create("John", "a@example.com").await;
    consumer.until("the first arrives", |deliveries| deliveries.len() == 1).await;
    let mut committed = with_event(&app);
    app.create("John", "b@example.com").await;
    let mut rolled_back = with_event(&app);
    app.create("John", "c@example.com").await;
    // The committed events wait behind the gaps, long enough for several polls of the relay.
    let looked = Instant::now() + Duration::from_millis(500);
    until("the relay has polled", LIMIT, async || Instant::now() > looked).await;
    assert_eq!(consumer.deliveries().len(), 1);
    committed.run("COMMIT");
    rolled_back.run("ROLLBACK");
    let deliveries = consumer.until("all arrive", |deliveries| deliveries.len() >= 4).await;
    let subjects = Vec::from_iter(deliveries.iter().map(|delivery| delivery.body["subject"].as_str().unwrap()));
    assert_eq!(subjects, ["1", "99", "2", "3"]);
}

/// An open transaction that has written an event.
fn with_event(app: &App) -> Connection {
    let mut connection = app.database.connect();
    connection.run(
        "BEGIN;
        INSERT INTO events (kind, user_id, version, occurred_at, salt) VALUES (3, 99, 2, '2026-01-31 12:00:00', 7)",
    );
    connection
}
