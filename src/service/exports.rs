//! How many exports run at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::Error;
use crate::metrics::{ExportMetrics, RunningExport};

/// Admits a few exports at a time: each has up to two pages in memory, and takes the place of page queries. Clones share
/// the number.
#[derive(Clone)]
pub struct Exports {
    permits: Arc<Semaphore>,
    metrics: ExportMetrics,
}

/// The permit of an export that runs. It is given back, and the export counted, when this is dropped.
pub struct ExportPermit {
    /// What to count.
    pub metrics: RunningExport,
    _permit: OwnedSemaphorePermit,
}

impl Exports {
    /// How many exports may run at once.
    const AT_ONCE: usize = 8;

    #[must_use]
    pub fn new(metrics: &ExportMetrics) -> Self {
        Self { permits: Arc::new(Semaphore::new(Self::AT_ONCE)), metrics: metrics.clone() }
    }

    /// Admits an export.
    ///
    /// # Errors
    /// [`Error::Overloaded`] when too many run.
    pub fn admit(&self) -> Result<ExportPermit, Error> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().map_err(|_| Error::Overloaded)?;
        Ok(ExportPermit { metrics: self.metrics.begin(), _permit: permit })
    }
}
