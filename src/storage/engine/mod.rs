//! Batching, without SQL: a caller sends a message into a lane, an actor takes what waits there, runs it as one batch, and
//! answers each caller.

mod actor;
pub(super) mod actors;
pub(super) mod lane;
mod pace;
mod reply;
mod retry;
mod set_aside;
pub(super) mod touched;
