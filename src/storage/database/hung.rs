//! Calls to the database that hang, and were abandoned: how many, and when they are too many.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::metrics::HungCalls;

/// How many calls may hang, for each that a caller makes at a time, before it makes no more. A server that stops has one of
/// them, and another one may do the same before the first is ended.
pub(crate) const MAX_HUNG: usize = 2;

/// Those of one caller. Each has a thread and a connection, and nobody knows when it will return.
pub(crate) struct Hung {
    most: usize,
    count: AtomicUsize,
    calls: HungCalls,
}

impl Hung {
    /// `most` of them are not too many yet.
    pub(crate) const fn new(calls: HungCalls, most: usize) -> Self {
        Self { most, count: AtomicUsize::new(0), calls }
    }

    /// Whose calls they are.
    pub(crate) const fn caller(&self) -> &'static str {
        self.calls.caller()
    }

    pub(crate) fn are_too_many(&self) -> bool {
        self.count.load(Ordering::Relaxed) >= self.most
    }

    /// A call was abandoned.
    pub(crate) fn begin(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.calls.abandoned();
        log::error!("{}: a call to the database hangs; it is abandoned with its connection", self.calls.caller());
    }

    /// It has returned.
    pub(crate) fn end(&self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.calls.returned();
        log::info!("{}: an abandoned call to the database has returned", self.calls.caller());
    }
}
