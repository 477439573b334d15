use prometheus::{IntCounter, Registry};

use super::register::register;

const REPLAYS: &str = "Writes that were answered by what their idempotency key had stored, and not executed again.";
const PRUNED: &str = "Idempotency keys that were pruned by this process.";

/// Metrics of idempotency keys. Clones share the numbers.
#[derive(Clone)]
pub struct IdempotencyMetrics {
    replays: IntCounter,
    pruned: IntCounter,
}

impl IdempotencyMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name, help| register(registry, IntCounter::new(name, help)?);
        Ok(Self {
            replays: counter("idempotency_replays_total", REPLAYS)?,
            pruned: counter("idempotency_keys_pruned_total", PRUNED)?,
        })
    }

    /// Counts a write that was answered and not executed.
    pub fn replayed(&self) {
        self.replays.inc();
    }

    /// Counts keys that were pruned.
    pub fn pruned(&self, keys: u64) {
        self.pruned.inc_by(keys);
    }
}
