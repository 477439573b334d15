//! What other crates write to the log: not more than is of use, for many of their lines are about what a stranger did.

use std::collections::HashMap;

use log::{Level, Log, Metadata, Record};
use parking_lot::Mutex;

use super::throttle::Throttle;

/// A logger for the lines of this crate, and for some of the others'. What is finer than INFO somebody has asked for by name.
pub(super) struct ThrottledLogger<L> {
    logger: L,
    /// By crate.
    others: Mutex<HashMap<String, Throttle>>,
}

impl<L: Log> ThrottledLogger<L> {
    pub(super) fn new(logger: L) -> Self {
        Self { logger, others: Mutex::default() }
    }

    /// Whether a line of this crate may be written, and then how it ends.
    fn admit(&self, name: &str) -> Option<String> {
        let mut others = self.others.lock();
        if let Some(throttle) = others.get(name) {
            return throttle.admit();
        }
        let throttle = Throttle::rare();
        let more = throttle.admit();
        others.insert(name.to_owned(), throttle);
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
