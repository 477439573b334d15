use prometheus::{IntCounter, IntGauge, Registry};

use super::in_flight::InFlight;
use super::register::{counters, register};

const RUNNING: &str = "Imports of users that are being uploaded.";
const RECORDS: &str = "Records of imports that this process has stored, by what has become of them.";

/// Metrics of imports. Clones share the numbers.
#[derive(Clone)]
pub struct ImportMetrics {
    running: IntGauge,
    records: ImportedRecords,
}

/// Counts what has become of records.
#[derive(Clone)]
pub struct ImportedRecords {
    created: IntCounter,
    updated: IntCounter,
    skipped: IntCounter,
    failed: IntCounter,
}

impl ImportMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let records = counters(registry, "import_records_total", RECORDS, &["outcome"])?;
        let [created, updated, skipped, failed] =
            ["created", "updated", "skipped", "failed"].map(|outcome| records.with_label_values(&[outcome]));
        let running = register(registry, IntGauge::new("imports_running", RUNNING)?)?;
        Ok(Self { running, records: ImportedRecords { created, updated, skipped, failed } })
    }

    /// Counts an upload until the returned value is dropped.
    #[must_use]
    pub fn begin(&self) -> RunningImport {
        RunningImport { records: self.records.clone(), _running: InFlight::begin(&self.running) }
    }
}

/// An upload that is under way.
pub struct RunningImport {
    pub records: ImportedRecords,
    _running: InFlight,
}

impl ImportedRecords {
    /// Counts records that were stored.
    pub fn stored(&self, created: i64, updated: i64, skipped: i64, failed: i64) {
        let counts =
            [(&self.created, created), (&self.updated, updated), (&self.skipped, skipped), (&self.failed, failed)];
        for (counter, records) in counts {
            counter.inc_by(records.unsigned_abs());
        }
    }
}
