//! Counts calls to the database that hang and were abandoned, and limits them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::metrics::HungCalls;

/// Runs when a call hangs. It must not block.
pub(crate) type OnHang = Arc<dyn Fn() + Send + Sync>;

/// How many calls may hang for each concurrent call of a caller. One server that stops causes one; a second server may
/// stop before the first is terminated.
pub(crate) const MAX_PER_CALLER: usize = 2;

/// The abandoned calls of one caller. Each occupies a thread and a connection until it returns, if it ever does.
pub(crate) struct AbandonedCalls {
    limit: usize,
    count: AtomicUsize,
    metrics: HungCalls,
}

impl AbandonedCalls {
    pub(crate) fn new(metrics: HungCalls, limit: usize) -> Self {
        Self { limit, count: AtomicUsize::new(0), metrics }
    }

    /// The name of the caller.
    pub(crate) const fn caller(&self) -> &'static str {
        self.metrics.caller()
    }

    pub(crate) fn limit_reached(&self) -> bool {
        self.count.load(Ordering::Relaxed) >= self.limit
    }

    /// Counts a call that was abandoned.
    pub(crate) fn add(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.metrics.abandoned();
        log::error!("{}: a call to the database hangs; it is abandoned with its connection", self.metrics.caller());
    }

    /// Counts an abandoned call that has returned.
    pub(crate) fn remove(&self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.metrics.returned();
        log::info!("{}: an abandoned call to the database has returned", self.metrics.caller());
    }
}
