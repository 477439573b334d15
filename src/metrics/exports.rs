use prometheus::{IntCounter, IntGauge, Registry};

use super::in_flight::InFlight;
use super::register::register;

const RUNNING: &str = "Exports of users that run.";
const FAILED: &str = "Exports that ended before their end: without a database or in a shutdown, or because the token expired or the client left.";
const USERS: &str = "Users that exports have sent.";

/// Metrics of exports. Clones share the numbers.
#[derive(Clone)]
pub struct ExportMetrics {
    running: IntGauge,
    failed: IntCounter,
    users: IntCounter,
}

impl ExportMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name, help| register(registry, IntCounter::new(name, help)?);
        Ok(Self {
            running: register(registry, IntGauge::new("exports_running", RUNNING)?)?,
            failed: counter("exports_failed_total", FAILED)?,
            users: counter("users_exported_total", USERS)?,
        })
    }

    /// Counts an export as running until the returned value is dropped, and as failed unless it is complete by then.
    #[must_use]
    pub fn begin(&self) -> RunningExport {
        RunningExport { metrics: self.clone(), is_complete: false, _running: InFlight::begin(&self.running) }
    }
}

/// An export that runs.
pub struct RunningExport {
    metrics: ExportMetrics,
    is_complete: bool,
    _running: InFlight,
}

impl RunningExport {
    /// Counts users that were sent.
    pub fn sent(&self, users: usize) {
        self.metrics.users.inc_by(users as u64);
    }

    /// The export has reached its end.
    pub fn complete(&mut self) {
        self.is_complete = true;
    }
}

impl Drop for RunningExport {
    fn drop(&mut self) {
        if !self.is_complete {
            self.metrics.failed.inc();
        }
    }
}
