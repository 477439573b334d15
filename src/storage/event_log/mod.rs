//! The event log: recording, following, relaying and pruning events.
//!
//! Each change writes a row into `events`, in its own transaction. The row's key is its offset in the log. None of the
//! log's calls is a message for an actor: few requests need them, and they gain nothing from batching. They run on
//! threads that may block, a few at a time.
//!
//! - `record` writes events together with their change.
//! - `follow` reads the log without missing an event; `history` reads past events.
//! - `checkpoint` detects that another log has taken the place of this one.
//! - `lead` elects the replica that relays; `backlog` says how much it has yet to publish.
//! - `held_events` keeps events that the broker refused.
//! - `prune` removes old events in order.

mod backlog;
mod blocking_call;
pub(super) mod checkpoint;
pub(super) mod event_row;
pub(super) mod follow;
mod handle;
mod held_events;
mod history;
mod lead;
mod prune;
pub(super) mod record;
mod state;

pub use backlog::Backlog;
pub use handle::EventLog;
pub use held_events::{DeliveryOutcome, HeldEvent, RetryError, retry_parked};
pub use lead::Leadership;
pub use prune::{Pruned, Retention};
