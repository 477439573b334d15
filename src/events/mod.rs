//! Publishes changes of users as `CloudEvents`: in the live stream, and through the relay to a message broker.
//!
//! The storage writes the event of a change in the change's own transaction, and owns the event log. This module only
//! reads and prunes the log. No event is delivered before it is certain that none can still be committed before it.
//!
//! - The live stream: [`tail`] follows the log and fills the [`ring`] of the last events. Each [`reader`] pulls from
//!   the ring, or from the log when it has fallen behind. [`hub`] is what they share, [`feed`] is the entry, and
//!   [`live_stream`] is the stream that both protocols send. Nothing here knows HTTP: `http/v2` and `grpc` write the
//!   stream.
//! - [`relay`] sends events to the broker.
//! - `format` renders an event in the form that others see.
//! - [`pruning`] deletes old events, and [`backlog`] reports how many wait to be relayed.

mod backlog;
mod feed;
mod format;
mod heartbeat;
mod hub;
mod live_stream;
mod pruning;
mod reader;
mod relay;
mod ring;
mod settings;
mod tail;

pub use feed::Feed;
pub use format::{EventType, PublishedEvent, to_json};
pub use live_stream::{End, LiveStream, Next};
pub use reader::Reader;
pub use relay::{AmqpUrl, Relay, Settings as RelaySettings};
pub use settings::Settings;

use crate::metrics::EventMetrics;
use crate::storage::EventLog;
use heartbeat::RelayHeartbeat;
use pruning::Pruning;

/// Starts the background tasks that prune the log and report its backlog, for as long as the runtime lives.
pub fn start(log: &EventLog, metrics: &EventMetrics, settings: &Settings) {
    let relays = settings.relay.is_some();
    metrics.enabled(relays);
    let pruning = Pruning {
        log: log.clone(),
        metrics: metrics.clone(),
        retention: settings.retention,
        heartbeat: RelayHeartbeat::new(relays),
    };
    tokio::spawn(pruning.run());
    tokio::spawn(backlog::report(log.clone(), metrics.clone(), RelayHeartbeat::new(relays)));
}
