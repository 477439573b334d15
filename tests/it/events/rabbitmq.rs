//! The tests' RabbitMQ behaves as other tests assume.

use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use serde_json::json;
use tokio::time::timeout;

use crate::support::{Consumer, EXCHANGE, Queue, RabbitMq, Vhost, until};

struct Publisher {
    connection: Connection,
    channel: Channel,
}

impl Publisher {
    async fn to(url: &str) -> Self {
        let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        Self { connection, channel }
    }

    /// Publishes a message whose body and id name the key, and waits for the confirm.
    async fn publish(&self, key: &str) -> Confirmation {
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(2)
            .with_type("event".into())
            .with_app_id("test".into())
            .with_message_id(format!("id of {key}").into());
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let body = json!({ "key": key }).to_string();
        let (exchange, key) = (EXCHANGE.into(), key.into());
        let sent = self.channel.basic_publish(exchange, key, options, body.as_bytes(), properties).await;
        sent.unwrap().await.unwrap()
    }
}

#[tokio::test]
async fn a_consumer_keeps_what_its_keys_ask_for() {
    let vhost = Vhost::fresh();
    let consumer = Consumer::of(&["user.*"], vhost.url()).await;
    let publisher = Publisher::to(vhost.url()).await;
    assert_eq!(publisher.publish("user.created").await, Confirmation::Ack(None));
    let returned = publisher.publish("order.created").await.take_message().expect("no queue is bound for it");
    assert_eq!((returned.reply_code, returned.reply_text.as_str()), (312, "NO_ROUTE"));
    assert_eq!(publisher.publish("user.deleted").await, Confirmation::Ack(None));
    let deliveries = consumer.until("both arrive", |deliveries| deliveries.len() >= 2).await;
    let keys = Vec::from_iter(deliveries.iter().map(|delivery| delivery.routing_key.as_str()));
    assert_eq!(keys, ["user.created", "user.deleted"]);
    let first = &deliveries[0];
    assert_eq!(first.body, json!({ "key": "user.created" }));
    assert_eq!(first.content_type.as_deref(), Some("application/json"));
    assert_eq!(first.message_id.as_deref(), Some("id of user.created"));
    assert_eq!(first.properties.app_id().as_ref().map(ToString::to_string).as_deref(), Some("test"));
    assert_eq!((first.kind.as_deref(), first.is_persistent, first.redelivered), (Some("event"), true, false));
}

#[tokio::test]
async fn a_vhost_is_a_tests_own() {
    let (one, other) = (Vhost::fresh(), Vhost::fresh());
    let here = Consumer::of(&["#"], one.url()).await;
    let there = Consumer::of(&["#"], other.url()).await;
    Publisher::to(one.url()).await.publish("user.created").await;
    here.until("the message arrives", |deliveries| deliveries.len() == 1).await;
    assert!(there.deliveries().is_empty());
    let url = one.url().to_owned();
    drop(one);
    let gone = Connection::connect(&url, ConnectionProperties::default()).await;
    assert!(gone.is_err(), "the vhost is deleted with its test");
}

#[tokio::test]
async fn a_full_queue_refuses() {
    let vhost = Vhost::fresh();
    let queue = Queue::of(&["#"]).refusing_beyond(1);
    queue.declare(vhost.url()).await;
    let publisher = Publisher::to(vhost.url()).await;
    assert!(publisher.publish("user.created").await.is_ack());
    assert!(publisher.publish("user.updated").await.is_nack());
    let consumer = queue.consume(vhost.url()).await;
    consumer.until("the first arrives", |deliveries| deliveries.len() == 1).await;
    assert!(publisher.publish("user.deleted").await.is_ack(), "there is room again");
    let deliveries = consumer.until("the last arrives", |deliveries| deliveries.len() == 2).await;
    assert_eq!(deliveries[1].routing_key, "user.deleted");
}

/// One broker for all cases, because a start takes seconds.
#[tokio::test]
async fn a_broker_crashes_freezes_blocks_and_returns() {
    let mut rabbitmq = RabbitMq::started().await;
    let url = rabbitmq.url();
    let (waiting, consumer) = (Queue::of(&["#"]), Consumer::of(&["#"], &url).await);
    waiting.declare(&url).await;
    assert_eq!(Publisher::to(&url).await.publish("before.crash").await, Confirmation::Ack(None));
    rabbitmq.crash();
    assert!(Connection::connect(&url, ConnectionProperties::default()).await.is_err());
    rabbitmq.start().await;
    let late = waiting.consume(&url).await;
    late.until("the message has survived", |deliveries| deliveries.len() == 1).await;

    let publisher = Publisher::to(&url).await;
    let blocked = |limit| timeout(Duration::from_millis(limit), publisher.publish("after.crash"));
    rabbitmq.freeze();
    assert!(blocked(200).await.is_err(), "nothing answers");
    rabbitmq.thaw();
    late.until("the delayed message arrives", |deliveries| deliveries.len() == 2).await;

    rabbitmq.block_publishers();
    let mut sent = 2;
    // The connections learn of the alarm one by one.
    until("the broker reads nothing", Duration::from_mins(1), async || {
        sent += 1;
        blocked(200).await.is_err() && publisher.connection.status().blocked()
    })
    .await;
    assert!(late.deliveries().len() < sent);
    rabbitmq.unblock_publishers();
    late.until("the blocked messages arrive", |deliveries| deliveries.len() == sent).await;
    let keys = consumer.until("the first consumer has reconnected", |deliveries| deliveries.len() >= 3).await;
    assert_eq!(keys.last().expect("the last").routing_key, "after.crash");
    rabbitmq.stop();
}
