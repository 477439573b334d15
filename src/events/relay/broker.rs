//! The message broker, by AMQP 0-9-1.

use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::FieldTable;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ErrorKind, Event as Occurrence,
    ExchangeKind,
};
use tokio::time::timeout;

use super::AmqpUrl;
use super::line::Line;
use crate::domain::Event;
use crate::events::cloud_event::{EventType, to_json};

/// The topic exchange that events go to; their types are the routing keys.
const EXCHANGE: &str = "user_events";
const CONTENT_TYPE: &str = "application/cloudevents+json";
/// Survives a restart of the broker.
const PERSISTENT: u8 = 2;

/// How long the broker may take to let somebody in, or out.
const PATIENCE: Duration = Duration::from_secs(10);
const FAREWELL: Duration = Duration::from_secs(1);

/// What goes wrong with the broker.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum BrokerError {
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Silent,
    #[error("the connection was closed")]
    Closed,
    #[error("the relay panicked")]
    Panic,
    #[error(transparent)]
    Amqp(#[from] lapin::Error),
}

impl BrokerError {
    /// Whether the broker closed the channel because of what an event is like; not for want of the exchange, nor of a
    /// permission, which are the same for all events.
    pub(super) fn is_refusal(&self) -> bool {
        let Self::Amqp(error) = self else { return false };
        let ErrorKind::ProtocolError(error) = error.kind() else { return false };
        matches!(error.kind(), AMQPErrorKind::Soft(AMQPSoftError::CONTENTTOOLARGE | AMQPSoftError::PRECONDITIONFAILED))
    }
}

/// What the broker says of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Receipt {
    /// It lies in every queue that is bound for it.
    Routed,
    /// No queue is bound for it.
    Unroutable,
    Refused,
}

/// A connection to the broker.
pub(super) struct Broker {
    // Before the connection: whoever says goodbye for ever is interrupted.
    _line: Line,
    connection: Connection,
    channel: Channel,
    source: String,
}

impl Broker {
    /// Connects, and declares the exchange if there is none.
    pub(super) async fn connect(url: &AmqpUrl, source: &str) -> Result<Self, BrokerError> {
        let line = Line::default();
        let connected = timeout(PATIENCE, connect(&line, url)).await.map_err(|_| BrokerError::Silent)?;
        let (connection, channel) = connected?;
        Ok(Self { _line: line, connection, channel, source: source.to_owned() })
    }

    /// Sends an event. What this returns knows what became of it; it can wait for that for ever, but not once the connection
    /// is lost.
    pub(super) fn publish(&self, event: &Event) -> impl Future<Output = Result<Receipt, BrokerError>> + use<> {
        let channel = self.channel.clone();
        let body = to_json(event, &self.source);
        let r#type = EventType::of(event).as_str();
        let seconds = u64::try_from(event.occurred_at.unix_micros() / 1_000_000).unwrap_or_default();
        let properties = BasicProperties::default()
            .with_content_type(CONTENT_TYPE.into())
            .with_delivery_mode(PERSISTENT)
            .with_message_id(event.id.to_string().into())
            .with_timestamp(seconds)
            .with_type(r#type.into());
        async move {
            let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
            let confirm =
                channel.basic_publish(EXCHANGE.into(), r#type.into(), options, body.as_bytes(), properties).await?;
            Ok(match confirm.await? {
                Confirmation::Ack(None) => Receipt::Routed,
                // The returned event may be another one: lapin gives it to whichever is confirmed next. There are as many.
                Confirmation::Ack(Some(_)) => Receipt::Unroutable,
                // Confirms were asked for when the channel was opened.
                Confirmation::Nack(_) | Confirmation::NotRequested => Receipt::Refused,
            })
        }
    }

    /// Waits until the connection is lost. To be asked once: of two that wait, each hears a part only.
    pub(super) fn lost(&self) -> impl Future<Output = BrokerError> {
        let mut occurrences = Box::pin(self.connection.events_listener());
        async move {
            while let Some(occurrence) = occurrences.next().await {
                match occurrence {
                    // The channel is lost; what was sent on it tells more.
                    Occurrence::Error(error) if error.is_amqp_soft_error() => {}
                    Occurrence::Error(error) => return error.into(),
                    Occurrence::ConnectionBlocked(reason) => log::warn!("the broker takes no events for now: {reason}"),
                    Occurrence::ConnectionUnblocked => log::info!("the broker takes events again"),
                    _ => {}
                }
            }
            BrokerError::Closed
        }
    }

    /// Says goodbye, without waiting long for an answer.
    pub(super) async fn close(self) {
        // It is as good as closed if it does not answer.
        let _ = timeout(FAREWELL, self.connection.close(200, "goodbye".into())).await;
    }
}

async fn connect(line: &Line, url: &AmqpUrl) -> Result<(Connection, Channel), BrokerError> {
    // Without its own recovery, which gives up some day: this module's callers never do.
    let properties = ConnectionProperties::default().with_connection_name(env!("CARGO_PKG_NAME").into());
    let connection = line.connect(url.uri(), properties).await?;
    let channel = with_exchange(&connection).await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok((connection, channel))
}

/// Opens a channel and sees to it that there is the exchange. One that is there may have been declared otherwise, by somebody who
/// has reasons to, and need not be declared by us, who may lack the permission to.
async fn with_exchange(connection: &Connection) -> Result<Channel, BrokerError> {
    let channel = connection.create_channel().await?;
    let looked = declare(&channel, ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() }).await;
    match looked {
        Ok(()) => return Ok(channel),
        Err(error) if is_missing(&error) => {}
        Err(error) => return Err(error.into()),
    }
    // The broker has closed the first one.
    let channel = connection.create_channel().await?;
    declare(&channel, ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() }).await?;
    Ok(channel)
}

async fn declare(channel: &Channel, options: ExchangeDeclareOptions) -> lapin::Result<()> {
    channel.exchange_declare(EXCHANGE.into(), ExchangeKind::Topic, options, FieldTable::default()).await
}

fn is_missing(error: &lapin::Error) -> bool {
    let ErrorKind::ProtocolError(error) = error.kind() else { return false };
    matches!(error.kind(), AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND))
}
