use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt as _;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicQosOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use uuid::Uuid;

use super::until;

/// The exchange to which the service publishes.
pub const EXCHANGE: &str = "user_events";

/// A durable queue, bound to the exchange of events.
#[derive(Clone)]
pub struct Queue {
    name: String,
    keys: Vec<String>,
    arguments: FieldTable,
}

impl Queue {
    /// A queue for messages with these routing keys: `user.created`, `user.*`, `#`.
    pub fn of(keys: &[&str]) -> Self {
        let name = format!("test_{}", Uuid::new_v4().simple());
        Self { name, keys: Vec::from_iter(keys.iter().map(|key| (*key).to_owned())), arguments: FieldTable::default() }
    }

    /// Makes the queue reject messages while it holds this many.
    pub fn refusing_beyond(self, length: u16) -> Self {
        let overflow = LongString::from("reject-publish");
        self.argument("x-max-length", AMQPValue::LongInt(length.into()))
            .argument("x-overflow", AMQPValue::LongString(overflow))
    }

    pub fn argument(mut self, name: &str, value: AMQPValue) -> Self {
        self.arguments.insert(name.into(), value);
        self
    }

    /// Declares the queue, which collects messages from now on.
    pub async fn declare(&self, url: &str) {
        let connection = Connection::connect(url, ConnectionProperties::default()).await.expect("RabbitMQ answers");
        let channel = connection.create_channel().await.expect("a channel");
        self.declare_in(&channel).await.expect("a queue");
        connection.close(200, "OK".into()).await.expect("the connection closes");
    }

    async fn declare_in(&self, channel: &Channel) -> lapin::Result<()> {
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        channel.exchange_declare(EXCHANGE.into(), ExchangeKind::Topic, durable, FieldTable::default()).await?;
        let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(self.name.as_str().into(), durable, self.arguments.clone()).await?;
        for key in &self.keys {
            let (queue, key) = (self.name.as_str().into(), key.as_str().into());
            channel.queue_bind(queue, EXCHANGE.into(), key, QueueBindOptions::default(), FieldTable::default()).await?;
        }
        Ok(())
    }

    /// Declares the queue and consumes it.
    pub async fn consume(self, url: &str) -> Consumer {
        let (ready, is_ready) = oneshot::channel();
        let deliveries = Arc::default();
        let task = tokio::spawn(consume(self, url.to_owned(), Arc::clone(&deliveries), ready));
        is_ready.await.expect("the consumer is ready");
        Consumer { deliveries, task }
    }
}

/// A message as it arrived.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub routing_key: String,
    /// The body as JSON, or as text if it is not JSON.
    pub body: Value,
    pub content_type: Option<String>,
    /// Whether the message survives a crash of the broker in a durable queue.
    pub is_persistent: bool,
    pub message_id: Option<String>,
    pub kind: Option<String>,
    pub redelivered: bool,
    /// All properties.
    pub properties: BasicProperties,
}

impl From<&lapin::message::Delivery> for Delivery {
    fn from(delivery: &lapin::message::Delivery) -> Self {
        let properties = delivery.properties.clone();
        let text = || String::from_utf8_lossy(&delivery.data).into_owned();
        Self {
            routing_key: delivery.routing_key.to_string(),
            body: serde_json::from_slice(&delivery.data).unwrap_or_else(|_| text().into()),
            content_type: properties.content_type().as_ref().map(ToString::to_string),
            is_persistent: *properties.delivery_mode() == Some(2),
            message_id: properties.message_id().as_ref().map(ToString::to_string),
            kind: properties.kind().as_ref().map(ToString::to_string),
            redelivered: delivery.redelivered,
            properties,
        }
    }
}

/// Consumes a queue: acknowledges each message and keeps it. It reconnects when the broker returns.
pub struct Consumer {
    deliveries: Arc<Mutex<Vec<Delivery>>>,
    task: JoinHandle<()>,
}

impl Consumer {
    /// A consumer with its own queue.
    pub async fn of(keys: &[&str], url: &str) -> Self {
        Queue::of(keys).consume(url).await
    }

    /// The messages in the order of arrival.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.deliveries.lock().unwrap().clone()
    }

    /// Waits until enough messages have arrived, and returns all of them.
    pub async fn until(&self, what: &str, are_enough: impl Fn(&[Delivery]) -> bool) -> Vec<Delivery> {
        until(what, Duration::from_mins(1), async || are_enough(&self.deliveries.lock().unwrap())).await;
        self.deliveries()
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Consumes until the task is aborted.
async fn consume(queue: Queue, url: String, deliveries: Arc<Mutex<Vec<Delivery>>>, ready: oneshot::Sender<()>) {
    let mut ready = Some(ready);
    loop {
        let end = connected(&queue, &url, &deliveries, &mut ready).await;
        // The first connection must succeed. The return drops `ready`, so the waiting test fails.
        if ready.is_some() {
            eprintln!("no consumer at {url}: {end:?}");
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Consumes until the connection or the queue is gone.
async fn connected(
    queue: &Queue,
    url: &str,
    deliveries: &Mutex<Vec<Delivery>>,
    ready: &mut Option<oneshot::Sender<()>>,
) -> lapin::Result<()> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    queue.declare_in(&channel).await?;
    channel.basic_qos(100, BasicQosOptions::default()).await?;
    let (name, options) = (queue.name.as_str().into(), BasicConsumeOptions::default());
    let mut consumer = channel.basic_consume(name, "".into(), options, FieldTable::default()).await?;
    if let Some(ready) = ready.take() {
        let _ = ready.send(());
    }
    while let Some(delivery) = consumer.next().await {
        let delivery = delivery?;
        deliveries.lock().unwrap().push(Delivery::from(&delivery));
        delivery.ack(BasicAckOptions::default()).await?;
    }
    Ok(())
}
