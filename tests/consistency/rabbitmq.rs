use std::time::Duration;

use futures::StreamExt as _;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties, Consumer, ExchangeKind};
use tokio::time::sleep;

use crate::events;
use crate::sse::Inbox;
use crate::support::EXCHANGE;

const QUEUE: &str = "consistency";

/// Declares a queue of all events, before the first one is published.
pub async fn declare(url: &str) {
    let (_connection, channel) = connect(url).await.expect("RabbitMQ answers");
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let (exchange, table) = (EXCHANGE.into(), FieldTable::default());
    channel.exchange_declare(exchange, ExchangeKind::Topic, durable, table).await.expect("an exchange");
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(QUEUE.into(), durable, FieldTable::default()).await.expect("a queue");
    let (options, table) = (QueueBindOptions::default(), FieldTable::default());
    channel.queue_bind(QUEUE.into(), EXCHANGE.into(), "#".into(), options, table).await.expect("a binding");
}

/// Consumes until it is aborted.
pub async fn read(url: String, inbox: Inbox) {
    let mut position = 0;
    loop {
        if let Ok((_connection, mut consumer)) = consume(&url).await {
            while let Some(Ok(delivery)) = consumer.next().await {
                position += 1;
                let value = serde_json::from_slice(&delivery.data).expect("an event is JSON");
                inbox.put(events::of_json(position, &value).unwrap_or_else(|| panic!("no event: {value}")));
                let _ = delivery.ack(BasicAckOptions::default()).await;
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
}

async fn connect(url: &str) -> lapin::Result<(Connection, Channel)> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    Ok((connection, channel))
}

async fn consume(url: &str) -> lapin::Result<(Connection, Consumer)> {
    let (connection, channel) = connect(url).await?;
    let options = BasicConsumeOptions::default();
    let consumer = channel.basic_consume(QUEUE.into(), "".into(), options, FieldTable::default()).await?;
    Ok((connection, consumer))
}
