//! Batching, without SQL: callers send messages into lanes, and actors run them in batches.
//!
//! - `lane` is the callers' end; `actors` opens the lanes and ends their threads.
//! - `actor` is a thread that serves a lane; `gather` takes its messages from the mailbox.
//! - `executor` runs a batch once, and `parts` runs a failed batch again in parts.
//! - `set_aside`, `locked` and `retry` keep messages that wait for locks of other transactions.
//! - `reply` carries answers back to callers, and `pace` estimates how long a message would wait.
//! - `windows` shares a lane among callers that send many messages at once.
//! - `request`, `message` and `conflict_key` are what travels through a lane.

mod actor;
#[cfg(test)]
mod actor_tests;
pub(super) mod actors;
pub(super) mod conflict_key;
mod executor;
mod failure_log;
mod gather;
pub(super) mod lane;
mod locked;
mod message;
mod pace;
mod parts;
mod reply;
pub(super) mod request;
mod retry;
mod set_aside;
#[cfg(test)]
mod set_aside_tests;
pub(super) mod windows;
