//! Database calls that did not return in time and were abandoned along with their connections.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};

use super::register::{counters, gauges};

const HUNG: &str = "Calls to the database that were abandoned because they took too long, and have not returned yet.";
const ABANDONED: &str =
    "Calls to the database that took too long, and were abandoned with their threads and connections.";

const CALLER: &str = "caller";

#[derive(Clone)]
pub(super) struct AllHungCalls {
    hung: IntGaugeVec,
    abandoned: IntCounterVec,
}

impl AllHungCalls {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            hung: gauges(registry, "db_calls_hung", HUNG, &[CALLER])?,
            abandoned: counters(registry, "db_calls_abandoned_total", ABANDONED, &[CALLER])?,
        })
    }
}

/// The hung calls of one caller. Clones share the numbers.
#[derive(Clone)]
pub struct HungCalls {
    caller: &'static str,
    hung: IntGauge,
    abandoned: IntCounter,
}

impl HungCalls {
    pub(super) fn new(all: &AllHungCalls, caller: &'static str) -> Self {
        Self {
            caller,
            hung: all.hung.with_label_values(&[caller]),
            abandoned: all.abandoned.with_label_values(&[caller]),
        }
    }

    /// The caller's name.
    #[must_use]
    pub const fn caller(&self) -> &'static str {
        self.caller
    }

    /// A call took too long and was abandoned.
    pub fn abandoned(&self) {
        self.abandoned.inc();
        self.hung.inc();
    }

    /// An abandoned call has returned.
    pub fn returned(&self) {
        self.hung.dec();
    }
}
