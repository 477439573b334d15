//! In place of `src/metrics/`.

use real_std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::panicking;

/// Counts the calls that hang. When nobody calls any more, all must have returned.
#[derive(Default)]
pub struct HungCalls(AtomicUsize);

impl HungCalls {
    pub(crate) const CALLER: &'static str = "model";

    #[must_use]
    pub const fn caller(&self) -> &'static str {
        Self::CALLER
    }

    pub fn abandoned(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub fn returned(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for HungCalls {
    fn drop(&mut self) {
        if !panicking() {
            assert_eq!(self.0.load(Ordering::Relaxed), 0, "an abandoned call that returned is counted as hung");
        }
    }
}
