//! Limits what other crates write to the log: many of their lines are about unauthenticated clients.

use std::collections::HashMap;

use log::{Level, Log, Metadata, Record};
use parking_lot::Mutex;

use super::throttle::Throttle;

/// Passes on all lines of this crate, and a limited number of other crates'. Lines below INFO are not limited: an
/// operator has asked for them by name.
pub(super) struct ThrottledLogger<L> {
    logger: L,
    /// By crate.
    throttles: Mutex<HashMap<String, Throttle>>,
}

impl<L: Log> ThrottledLogger<L> {
    pub(super) fn new(logger: L) -> Self {
        Self { logger, throttles: Mutex::default() }
    }

    /// Whether a line of a crate may be written, and if so, its ending.
    fn admit(&self, name: &str) -> Option<String> {
        let mut throttles = self.throttles.lock();
        if let Some(throttle) = throttles.get(name) {
            return throttle.admit();
        }
        let throttle = Throttle::rare();
        let more = throttle.admit();
        throttles.insert(name.to_owned(), throttle);
        more
    }
}

impl<L: Log> Log for ThrottledLogger<L> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.logger.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        let name = record.target().split("::").next().unwrap_or_default();
        if name == env!("CARGO_CRATE_NAME") || record.level() > Level::Info || !self.enabled(record.metadata()) {
            self.logger.log(record);
        } else if let Some(more) = self.admit(name) {
            self.logger.log(&record.to_builder().args(format_args!("{}{more}", record.args())).build());
        }
    }

    fn flush(&self) {
        self.logger.flush();
    }
}
