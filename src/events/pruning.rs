//! Prunes old events, so that the database does not grow for ever.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::heartbeat::RelayHeartbeat;
use crate::domain::{Error, Timestamp};
use crate::metrics::EventMetrics;
use crate::storage::{EventLog, Pruned, Retention};

/// The interval between runs. Jitter of up to half of it keeps replicas from running at the same time.
const INTERVAL: Duration = Duration::from_mins(1);
/// The delay before the first run.
const FIRST: Duration = Duration::from_secs(2);
/// Events pruned per transaction. It takes a few milliseconds, for which writers wait on SQLite. Half as many could not
/// keep up with 20,000 creates a second.
const BATCH: i64 = 1000;
/// The pause after a batch, as a multiple of the batch's duration.
const PAUSE_FACTOR: u32 = 4;

/// The task that prunes the log.
pub(super) struct Pruning {
    pub(super) log: EventLog,
    pub(super) metrics: EventMetrics,
    pub(super) retention: Retention,
    pub(super) heartbeat: RelayHeartbeat,
}

impl Pruning {
    /// Prunes the log at intervals, for ever.
    pub(super) async fn run(mut self) {
        let mut pause = FIRST;
        loop {
            sleep(jittered(pause)).await;
            // The storage logs errors. The next run retries.
            let _ = self.prune().await;
            pause = INTERVAL;
        }
    }

    /// Prunes everything that is old by now.
    async fn prune(&mut self) -> Result<(), Error> {
        let beat = self.log.heartbeat().await?;
        let sent_only = self.heartbeat.is_alive(beat, Instant::now());
        let now = Timestamp::now();
        let before = now.before(self.retention.events);
        self.batches(|| self.log.prune(before, sent_only, BATCH)).await?;
        let (parked, max_parked) = (now.before(self.retention.parked), self.retention.max_parked);
        let unsent = (!sent_only).then_some(before);
        self.batches(|| self.log.prune_held(parked, max_parked, unsent, BATCH)).await
    }

    /// Runs batches until there is nothing left to prune, or another replica prunes.
    async fn batches<F>(&self, batch: impl Fn() -> F) -> Result<(), Error>
    where
        F: Future<Output = Result<Pruned, Error>>,
    {
        loop {
            let began = Instant::now();
            let Pruned::Events(events) = batch().await? else { return Ok(()) };
            self.metrics.pruned(events);
            sleep(began.elapsed() * PAUSE_FACTOR).await;
        }
    }
}

/// Between half and one and a half times the pause.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_is_at_most_half_of_the_pause() {
        for _ in 0..1000 {
            let pause = jittered(Duration::from_mins(1));
            assert!((Duration::from_secs(30)..=Duration::from_secs(90)).contains(&pause), "{pause:?}");
        }
    }
}
