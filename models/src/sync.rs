//! `std::sync` and `tokio::sync`, as far as the included files use them.
//!
//! An included file that uses more does not compile, so nothing is shared without loom's knowledge, with these
//! exceptions: `Arc`, as loom's cannot hold a `dyn Fn`; and tokio's semaphore and channel, so that each call of them is
//! one step of its thread.

mod notify;
mod weak;

pub use loom::sync::{Condvar, Mutex, MutexGuard, atomic};
pub use notify::Notify;
pub use real_std::sync::{Arc, PoisonError};
pub use real_tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
pub use weak::Weak;
