//! `std::thread`, as far as the included files use it.

use real_std::cell::RefCell;
use real_std::thread_local;
use std::io;
use std::time::Duration;

pub use loom::thread::{JoinHandle, ThreadId, current, panicking, spawn};

thread_local! {
    // loom runs all threads of a model on one thread of the system, and each test has its own.
    static STARTED: RefCell<Vec<(String, JoinHandle<()>)>> = const { RefCell::new(Vec::new()) };
}

/// Starts a thread for which only the model waits.
#[derive(Default)]
pub struct Builder(String);

impl Builder {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn name(self, name: String) -> Self {
        Self(name)
    }

    /// # Errors
    /// None.
    pub fn spawn(self, work: impl FnOnce() + Send + 'static) -> io::Result<ThreadId> {
        let thread = spawn(work);
        let id = thread.thread().id();
        STARTED.with_borrow_mut(|started| started.push((self.0, thread)));
        Ok(id)
    }
}

/// Waits until all threads of this name have ended, and those that they have started.
pub(crate) fn join(name: &str) {
    let next = || STARTED.with_borrow_mut(|started| started.extract_if(.., |(other, _)| other == name).next());
    while let Some((_, thread)) = next() {
        thread.join().unwrap();
    }
}

/// Forgets the threads of the last run.
pub(crate) fn reset() {
    STARTED.take();
}

/// A pause has no length: what other threads do meanwhile is what a model tries.
pub const fn sleep(_: Duration) {}
