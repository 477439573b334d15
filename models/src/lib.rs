//! Models: what the service's threads share, tried in every order that these threads can take.
//!
//! Files of `src/` are included as they are. Where they name `std`, `tokio` or `r2d2`, they get this crate: its `sync`
//! and `thread` are loom's, its clock moves only when a model says so, and the rest of `std` is the real one.
//!
//! loom runs a model again and again, until it has tried each order of locking, waking, and reading and writing atomics
//! that can make a difference, and each value that a relaxed load may return. A model in which all threads wait fails as
//! a deadlock, so a lost wake-up shows. What loom does not see makes no order: a model must not decide by it which of
//! its threads does what.
//!
//! A model is a function here, because it calls what is private to a folder. `tests/models.rs` runs each as a test.
#![forbid(unsafe_code)]
#![allow(
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a model that does not hold should say so and stop; one that holds says how many orders it has tried"
)]

extern crate self as r2d2;
extern crate self as std;
extern crate self as tokio;
extern crate std as real_std;
extern crate tokio as real_tokio;

pub use real_std::*;

pub mod domain;
pub mod metrics;
pub mod net;
pub mod storage;
pub mod sync;
pub mod thread;
pub mod time;

mod check;
mod flag;
mod pooled_connection;
mod tasks;

use check::check;
use flag::Flag;
pub use pooled_connection::PooledConnection;
