//! What others are told of changes: `CloudEvents`, the live stream, the relay to a message broker, and how long all of it is
//! kept.
//!
//! The log of events is [`crate::storage`]'s: a change's event is written in the change's own transaction. What is here only
//! reads it.

mod backlog;
mod cloud_event;
mod feed;
mod keep_up;
mod live_stream;
mod reader;
mod relay;
mod retention;
mod ring;
mod signs_of_life;
mod told;

pub use cloud_event::{EventType, to_json};
pub use feed::Feed;
pub use live_stream::{End, LiveStream, Next};
pub use reader::Reader;
pub use relay::{AmqpUrl, Relay, Settings as RelaySettings};
pub use told::Told;

use crate::metrics::EventMetrics;
use crate::storage::{EventLog, Retention};
use retention::Pruning;
use signs_of_life::SignsOfLife;

/// How others are told of changes; every value is documented where it is configured.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who tells, as a URI reference.
    pub source: String,
    pub retention: Retention,
    /// How many may read the live stream at once.
    pub max_readers: usize,
    /// Where they are sent, if they are.
    pub relay: Option<RelaySettings>,
}

/// Starts what goes on beside the requests, for as long as the runtime lives: forgetting old events, and counting those that
/// are yet to be relayed.
pub fn start(log: &EventLog, metrics: &EventMetrics, settings: &Settings) {
    let relays = settings.relay.is_some();
    metrics.enabled(relays);
    let pruning = Pruning {
        log: log.clone(),
        metrics: metrics.clone(),
        retention: settings.retention,
        signs: SignsOfLife::new(relays),
    };
    tokio::spawn(pruning.run());
    tokio::spawn(backlog::watch(log.clone(), metrics.clone(), SignsOfLife::new(relays)));
}
