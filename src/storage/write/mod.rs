//! Writes: what a write is, and how a batch of creates, updates and deletes is executed.
//!
//! Each write knows its conflict keys: the user and the addresses that it touches. `request::plan` picks the writes
//! that may run together; `sqlite` and `postgres` run them.
//!
//! - No read before a write decides its outcome. A stale version, a missing user and a taken address are detected by
//!   the statement that writes, or on SQLite under the write lock of its transaction.
//! - No write is answered before its transaction has committed.
//! - No change is made without its event, and no event without its change: they are in one transaction.
//! - Each kind of write has its own result per row, and no row fails another.

pub(super) mod atomic;
mod batch;
mod execute;
pub(super) mod import;
mod once;
mod postgres;
mod replays;
pub(super) mod request;
pub(super) mod sqlite;
