//! The background task that prunes idempotency keys.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::domain::{Error, Timestamp};
use crate::storage::{KeyRetention, PrunedKeys, Storage};

/// The interval between runs. Jitter keeps replicas from running at the same time.
const INTERVAL: Duration = Duration::from_mins(1);
/// The delay before the first run.
const FIRST: Duration = Duration::from_secs(2);
/// Keys pruned per transaction. Each is on another page of the index, so it takes some 7 ms on SQLite, for which writers
/// wait.
const BATCH: i64 = 100;
/// The pause after a batch, as a multiple of the batch's duration. With both, about 5,000 keys go in a second.
const PAUSE_FACTOR: u32 = 2;

/// Prunes keys at intervals, for ever.
pub async fn prune_keys(storage: Storage, retention: KeyRetention) {
    let mut pause = FIRST;
    loop {
        sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
        // The storage logs errors. The next run retries.
        let _ = prune(&storage, retention).await;
        pause = INTERVAL;
    }
}

/// Prunes everything that is old or too much by now.
async fn prune(storage: &Storage, KeyRetention { age, max_keys }: KeyRetention) -> Result<(), Error> {
    let before = Timestamp::now().before(age);
    let mut pruned = PrunedKeys::default();
    loop {
        let began = Instant::now();
        let Some(next) = storage.prune_keys(pruned, before, max_keys, BATCH).await? else { return Ok(()) };
        pruned = next;
        sleep(began.elapsed() * PAUSE_FACTOR).await;
    }
}
