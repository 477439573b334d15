//! How many imports are uploaded at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::Error;
use crate::metrics::{ImportMetrics, RunningImport};

/// Admits a few uploads at a time: each has up to two chunks in memory, and all take turns at the database. Clones share
/// the number.
#[derive(Clone)]
pub struct Imports {
    permits: Arc<Semaphore>,
    metrics: ImportMetrics,
}

/// The permit of an upload. It is given back when this is dropped.
pub struct ImportPermit {
    pub(super) metrics: RunningImport,
    _permit: OwnedSemaphorePermit,
}

impl Imports {
    /// How many uploads there may be at once.
    const AT_ONCE: usize = 4;

    #[must_use]
    pub fn new(metrics: &ImportMetrics) -> Self {
        Self { permits: Arc::new(Semaphore::new(Self::AT_ONCE)), metrics: metrics.clone() }
    }

    /// Admits an upload.
    ///
    /// # Errors
    /// [`Error::Overloaded`] when there are too many.
    pub fn admit(&self) -> Result<ImportPermit, Error> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().map_err(|_| Error::Overloaded)?;
        Ok(ImportPermit { metrics: self.metrics.begin(), _permit: permit })
    }
}
