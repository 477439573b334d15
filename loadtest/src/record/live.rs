//! What the progress display shows while a run goes on: all threads add to it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Latencies;

#[derive(Default)]
pub(crate) struct Live {
    answered: AtomicU64,
    failed: AtomicU64,
    /// Latencies of the windows that ended last; the display takes them.
    latest: Mutex<Option<Latencies>>,
}

impl Live {
    pub(crate) fn count(&self, is_failed: bool) {
        let counter = if is_failed { &self.failed } else { &self.answered };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Answered and failed requests so far, the warm-up's included.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.answered.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }

    pub(crate) fn add(&self, window: &Latencies) {
        let Ok(mut latest) = self.latest.lock() else { return };
        match latest.as_mut() {
            Some(latest) => latest.add(window),
            None => *latest = Some(window.clone()),
        }
    }

    pub(crate) fn take(&self) -> Option<Latencies> {
        self.latest.lock().ok()?.take()
    }
}
