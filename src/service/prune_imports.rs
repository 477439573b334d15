//! The background task that prunes imports.

use std::time::Duration;

use tokio::time::sleep;

use crate::domain::Timestamp;
use crate::storage::Storage;

/// How long an import is remembered after its last change.
const RETENTION: Duration = Duration::from_hours(7 * 24);
/// The interval between runs. Jitter keeps replicas from running at the same time.
const INTERVAL: Duration = Duration::from_mins(10);
/// The pause between two transactions of a run.
const PAUSE: Duration = Duration::from_millis(100);

/// Prunes imports at intervals, for ever.
pub async fn prune_imports(storage: Storage) {
    loop {
        sleep(INTERVAL.mul_f64(0.5 + fastrand::f64())).await;
        // The storage logs errors. The next run retries.
        while let Ok(true) = storage.prune_imports(Timestamp::now().before(RETENTION)).await {
            sleep(PAUSE).await;
        }
    }
}
