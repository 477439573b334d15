//! Events reach the broker.

use std::collections::HashSet;
use std::time::Duration;

use lapin::types::{AMQPValue, FieldTable};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{Answered, App, Consumer, Db, Queue, Vhost, until, user};

const SOON: Duration = Duration::from_secs(40);

/// The type, subject and version of an event.
fn told(body: &Value) -> (&str, &str, &Value) {
    (body["type"].as_str().expect("a type"), body["subject"].as_str().expect("a subject"), &body["data"]["version"])
}

#[rstest]
#[tokio::test]
async fn each_change_is_an_event(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let vhost = Vhost::fresh();
    let consumer = Consumer::of(&["user.*"], vhost.url()).await;
    let app = App::start_with(db, &[("AMQP_URL", vhost.url()), ("EVENTS_SOURCE", "/tests")]).await;
    let created = app.create("John", "john@example.com").await;
    let updated = app.put("/api/v2/users/1", &user("Jack", "john@example.com")).answer().await.body(200);
    app.delete("/api/v2/users/1").answer().await.empty(204);
    let deliveries = consumer.until("all three arrive", |deliveries| deliveries.len() >= 3).await;
    let bodies = Vec::from_iter(deliveries.iter().map(|delivery| &delivery.body));
    assert_eq!(
        Vec::from_iter(bodies.iter().map(|body| told(body))),
        [("user.created", "1", &json!(1)), ("user.updated", "1", &json!(2)), ("user.deleted", "1", &json!(3)),]
    );
    assert_eq!((&bodies[0]["data"], &bodies[1]["data"]), (&created, &updated));
    assert_eq!(bodies[2]["data"], json!({ "id": 1, "version": 3 }));
    for delivery in &deliveries {
        assert_eq!(delivery.content_type.as_deref(), Some("application/cloudevents+json"));
        assert!(delivery.is_persistent);
        assert_eq!(delivery.message_id.as_deref(), delivery.body["id"].as_str());
        assert_eq!(Some(delivery.routing_key.as_str()), delivery.body["type"].as_str());
        assert_eq!(delivery.kind.as_deref(), delivery.body["type"].as_str());
        assert_eq!(delivery.body["source"], "/tests");
    }
}

#[rstest]
#[tokio::test]
async fn what_no_queue_is_bound_for_counts_as_sent(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let vhost = Vhost::fresh();
    let app = App::start_with(db, &[("AMQP_URL", vhost.url())]).await;
    app.create("John", "john@example.com").await;
    until("the event is published", Duration::from_secs(20), async || {
        app.metrics().await.value("events_unroutable_total") == 1.0
    })
    .await;
    assert_eq!(app.metrics().await.value("events_published_total"), 1.0);
    let consumer = Consumer::of(&["user.*"], vhost.url()).await;
    app.create("Jane", "jane@example.com").await;
    let deliveries = consumer.until("the next one arrives", |deliveries| !deliveries.is_empty()).await;
    assert_eq!(told(&deliveries[0].body), ("user.created", "2", &json!(1)));
}

/// A queue for updates is full, so the broker refuses updates and accepts other events.
#[rstest]
#[tokio::test]
async fn one_that_is_refused_holds_up_its_user_and_nobody_else(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let vhost = Vhost::fresh();
    let full = Queue::of(&["user.updated"]).refusing_beyond(1);
    full.declare(vhost.url()).await;
    let consumer = Consumer::of(&["user.*"], vhost.url()).await;
    let app = App::start_with(db, &[("AMQP_URL", vhost.url())]).await;
    for name in ["a", "b", "c"] {
        app.create("John", &format!("{name}@example.com")).await;
    }
    // The first update fits into the queue, the second is refused.
    app.patch("/api/v2/users/1", &json!({ "name": "Jack" })).answer().await.body(200);
    consumer.until("the first update arrives", |deliveries| deliveries.len() >= 4).await;
    app.patch("/api/v2/users/2", &json!({ "name": "Jack" })).answer().await.body(200);
    until("the second update is refused", Duration::from_secs(20), async || {
        app.metrics().await.value("events_refused_total") >= 1.0
    })
    .await;
    app.delete("/api/v2/users/2").answer().await.empty(204);
    app.delete("/api/v2/users/3").answer().await.empty(204);
    let of = |subject: &str, bodies: &[Value]| {
        Vec::from_iter(bodies.iter().filter(|body| body["subject"] == subject).map(|body| body["sequence"].clone()))
    };
    let bodies = |deliveries: &[_]| -> Vec<Value> {
        deliveries.iter().map(|delivery: &crate::support::Delivery| delivery.body.clone()).collect()
    };
    let deliveries =
        consumer.until("events of other users arrive", |deliveries| of("3", &bodies(deliveries)).len() == 2).await;
    assert!(bodies(&deliveries).iter().all(|body| body["type"] != "user.deleted" || body["subject"] != "2"));
    // The queue has room again.
    let _drained = full.consume(vhost.url()).await;
    let deliveries = consumer
        .until("the rest arrives", |deliveries| {
            bodies(deliveries).iter().any(|body| body["type"] == "user.deleted" && body["subject"] == "2")
        })
        .await;
    let mut seen = HashSet::new();
    let first = Vec::from_iter(of("2", &bodies(&deliveries)).into_iter().filter(|it| seen.insert(it.clone())));
    assert_eq!(
        Vec::from_iter(first.iter().map(|it| it.as_str().expect("a text").trim_start_matches('0').to_owned())),
        ["1", "2", "3"]
    );
}

/// An operator may have declared the exchange with other arguments, for example to keep events for which no queue is
/// bound.
#[tokio::test]
async fn an_exchange_that_is_there_is_used_as_it_is() {
    let vhost = Vhost::fresh();
    let mut arguments = FieldTable::default();
    arguments.insert("alternate-exchange".into(), AMQPValue::LongString("amq.fanout".into()));
    vhost.declare_exchange(arguments).await;
    let app = App::start_with(Db::Sqlite, &[("AMQP_URL", vhost.url())]).await;
    app.create("John", "john@example.com").await;
    until("the event is published", SOON, async || app.metrics().await.value("events_published_total") == 1.0).await;
    assert!(!app.log().contains("no events are relayed"), "{}", app.log());
}

/// The least permissions that the broker's user needs. The relay logs what is missing, and retries.
#[tokio::test]
async fn who_may_only_write_relays_once_there_is_an_exchange() {
    let vhost = Vhost::fresh();
    let app = App::start_with(Db::Sqlite, &[("AMQP_URL", &vhost.url_of_a_writer_to(".*"))]).await;
    app.create("John", "john@example.com").await;
    let log = || app.log();
    until("the failure is logged", SOON, async || log().contains("no events are relayed")).await;
    let line = log().lines().find(|line| line.contains("no events are relayed")).unwrap().to_owned();
    assert!(line.contains("user_events") && line.contains("ACCESS"), "{line}");
    assert_eq!(app.metrics().await.value("events_relay_connected"), 0.0);
    vhost.declare_exchange(FieldTable::default()).await;
    until("the event is published", SOON, async || app.metrics().await.value("events_published_total") == 1.0).await;
}

#[tokio::test]
async fn who_may_not_even_write_is_told() {
    let vhost = Vhost::fresh();
    vhost.declare_exchange(FieldTable::default()).await;
    let app = App::start_with(Db::Sqlite, &[("AMQP_URL", &vhost.url_of_a_writer_to("others"))]).await;
    app.create("John", "john@example.com").await;
    let log = || app.log();
    until("the failure is logged", SOON, async || log().contains("no events are relayed")).await;
    let line = log().lines().find(|line| line.contains("no events are relayed")).unwrap().to_owned();
    assert!(line.contains("user_events") && line.contains("ACCESS"), "{line}");
    until("the metric shows it", SOON, async || app.metrics().await.value("events_relay_connected") == 0.0).await;
    until("the event is pending", SOON, async || app.metrics().await.value("events_pending") == 1.0).await;
}

/// A statement that records no events leaves a mark in the log, for the users in memory. It is no event.
#[tokio::test]
async fn a_mark_is_passed_over() {
    let vhost = Vhost::fresh();
    let consumer = Consumer::of(&["user.*"], vhost.url()).await;
    let app = App::start_with(Db::Postgres, &[("AMQP_URL", vhost.url())]).await;
    app.database.connect().run("UPDATE users SET id = id");
    app.create("John", "john@example.com").await;
    app.database.connect().run("UPDATE users SET name = 'Jack'; UPDATE users SET name = 'Joe'");
    app.delete("/api/v2/users/1").answer().await.empty(204);
    app.database.connect().run("UPDATE users SET id = id");
    let deliveries = consumer.until("both arrive", |deliveries| deliveries.len() >= 2).await;
    let bodies = Vec::from_iter(deliveries.iter().map(|delivery| told(&delivery.body)));
    assert_eq!(bodies, [("user.created", "1", &json!(1)), ("user.deleted", "1", &json!(2))]);
    until("nothing waits to be sent", SOON, async || app.metrics().await.value("events_pending") == 0.0).await;
    assert_eq!(consumer.deliveries().len(), 2);
}
