//! A connection to the message broker over AMQP 0-9-1.

use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::FieldTable;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ErrorKind, Event as Notification,
    ExchangeKind,
};
use tokio::time::timeout;

use super::amqp_url::AmqpUrl;
use super::tcp::TcpConnection;
use crate::domain::Event;
use crate::events::format::{EventType, to_json};

/// The topic exchange that events are published to. The routing keys are the event types.
const EXCHANGE: &str = "user_events";
const CONTENT_TYPE: &str = "application/cloudevents+json";
/// The delivery mode of messages that survive a restart of the broker.
const PERSISTENT: u8 = 2;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Why the connection to the broker failed.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum BrokerError {
    #[error("no answer within {} s", CONNECT_TIMEOUT.as_secs())]
    Silent,
    #[error("the connection was closed")]
    Closed,
    #[error("the relay panicked")]
    Panic,
    #[error(transparent)]
    Amqp(#[from] lapin::Error),
}

impl BrokerError {
    /// Whether the broker closed the channel because of an event's content. A missing exchange or permission does not
    /// count, since it affects all events.
    pub(super) fn is_refusal(&self) -> bool {
        let Self::Amqp(error) = self else { return false };
        let ErrorKind::ProtocolError(error) = error.kind() else { return false };
        matches!(error.kind(), AMQPErrorKind::Soft(AMQPSoftError::CONTENTTOOLARGE | AMQPSoftError::PRECONDITIONFAILED))
    }
}

/// The broker's response to an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Receipt {
    /// The event is in every queue that is bound for it.
    Routed,
    /// No queue is bound for it.
    Unroutable,
    Refused,
}

/// A connection to the broker.
pub(super) struct Broker {
    // Declared before the connection, so that it is dropped first: closing the socket interrupts a connection that
    // hangs.
    _tcp: TcpConnection,
    connection: Connection,
    channel: Channel,
    source: String,
}

impl Broker {
    /// Connects, and declares the exchange if it is missing.
    pub(super) async fn connect(url: &AmqpUrl, source: &str) -> Result<Self, BrokerError> {
        let tcp = TcpConnection::default();
        let connected = timeout(CONNECT_TIMEOUT, connect(&tcp, url)).await.map_err(|_| BrokerError::Silent)?;
        let (connection, channel) = connected?;
        Ok(Self { _tcp: tcp, connection, channel, source: source.to_owned() })
    }

    /// Publishes an event. The returned future completes with the broker's response. Without one it waits until the
    /// connection is lost.
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
                // The returned message may be another event: lapin attaches it to the next confirm. The numbers of both
                // are equal.
                Confirmation::Ack(Some(_)) => Receipt::Unroutable,
                // Confirms were enabled when the channel was opened.
                Confirmation::Nack(_) | Confirmation::NotRequested => Receipt::Refused,
            })
        }
    }

    /// Waits until the connection is lost. Must be called only once: two listeners would each get a part of the
    /// notifications.
    pub(super) fn lost(&self) -> impl Future<Output = BrokerError> {
        let mut notifications = Box::pin(self.connection.events_listener());
        async move {
            while let Some(notification) = notifications.next().await {
                match notification {
                    // Only the channel is lost. The events in flight on it report the error in more detail.
                    Notification::Error(error) if error.is_amqp_soft_error() => {}
                    Notification::Error(error) => return error.into(),
                    Notification::ConnectionBlocked(reason) => {
                        log::warn!("the broker takes no events for now: {reason}");
                    }
                    Notification::ConnectionUnblocked => log::info!("the broker takes events again"),
                    _ => {}
                }
            }
            BrokerError::Closed
        }
    }

    /// Closes the connection, without waiting long for the broker.
    pub(super) async fn close(self) {
        // A broker that does not answer will notice the closed socket.
        let _ = timeout(CLOSE_TIMEOUT, self.connection.close(200, "goodbye".into())).await;
    }
}

async fn connect(tcp: &TcpConnection, url: &AmqpUrl) -> Result<(Connection, Channel), BrokerError> {
    // Without lapin's recovery, which eventually gives up. The supervisor never does.
    let properties = ConnectionProperties::default().with_connection_name(env!("CARGO_PKG_NAME").into());
    let connection = tcp.connect(url.uri(), properties).await?;
    let channel = with_exchange(&connection).await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok((connection, channel))
}

/// Opens a channel and ensures that the exchange exists. An operator may have declared it with other options, and the
/// relay may lack the permission to declare it, so it is declared only if it is missing.
async fn with_exchange(connection: &Connection) -> Result<Channel, BrokerError> {
    let channel = connection.create_channel().await?;
    let looked = declare(&channel, ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() }).await;
    match looked {
        Ok(()) => return Ok(channel),
        Err(error) if is_missing(&error) => {}
        Err(error) => return Err(error.into()),
    }
    // The error has closed the first channel.
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
