//! What others are told of changes: `CloudEvents`, the live stream, the relay to a message broker, and how long all of it is
//! kept.
//!
//! The log of events is [`crate::storage`]'s: a change's event is written in the change's own transaction. What is here only
//! reads it.

mod cloud_event;
mod relay;

pub use cloud_event::{EventType, to_json};
pub use relay::{AmqpUrl, Relay, Settings as RelaySettings};

use crate::storage::Retention;

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
