//! Forgets old events, so that the database does not grow for ever.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::chance::chance;
use super::signs_of_life::SignsOfLife;
use crate::domain::{Error, Timestamp};
use crate::metrics::EventMetrics;
use crate::storage::{EventLog, Pruned, Retention};

/// How often old events are looked for. Each pause is up to half as long again, or shorter, so that replicas do not look all
/// at once.
const INTERVAL: Duration = Duration::from_mins(1);
/// Until the first look.
const SOON: Duration = Duration::from_secs(2);
/// Events that are forgotten in one transaction: a few milliseconds, for which writers wait on SQLite. With half as many it
/// cannot keep up with 20,000 creates a second.
const BATCH: i64 = 1000;
/// The rest after a batch is so many times as long as the batch took.
const REST: u32 = 4;

/// What is forgotten, and when.
pub(super) struct Pruning {
    pub(super) log: EventLog,
    pub(super) metrics: EventMetrics,
    pub(super) retention: Retention,
    pub(super) signs: SignsOfLife,
}

impl Pruning {
    /// Forgets, for ever, what has become old.
    pub(super) async fn run(mut self) {
        let mut pause = SOON;
        loop {
            sleep(jittered(pause)).await;
            // What goes wrong is in the log already, and no reason to look sooner.
            let _ = self.look().await;
            pause = INTERVAL;
        }
    }

    /// Forgets what is old by now.
    async fn look(&mut self) -> Result<(), Error> {
        let sign = self.log.heartbeat().await?;
        let sent_only = self.signs.is_relayed(sign, Instant::now());
        let now = Timestamp::now();
        let before = ago(now, self.retention.events);
        self.batches(|| self.log.prune(before, sent_only, BATCH)).await?;
        let (parked, max_parked) = (ago(now, self.retention.parked), self.retention.max_parked);
        let unsent = (!sent_only).then_some(before);
        self.batches(|| self.log.prune_held(parked, max_parked, unsent, BATCH)).await
    }

    /// Batch after batch, as long as there is something to do, and no other replica does it.
    async fn batches<F>(&self, batch: impl Fn() -> F) -> Result<(), Error>
    where
        F: Future<Output = Result<Pruned, Error>>,
    {
        loop {
            let began = Instant::now();
            let Pruned::Events(events) = batch().await? else { return Ok(()) };
            self.metrics.pruned(events);
            sleep(began.elapsed() * REST).await;
        }
    }
}

fn ago(now: Timestamp, age: Duration) -> Timestamp {
    let micros = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_unix_micros(now.unix_micros().saturating_sub(micros))
}

/// Half as long up to one and a half times.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + chance())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_about_as_long_as_it_should_be() {
        for _ in 0..1000 {
            let pause = jittered(Duration::from_mins(1));
            assert!((Duration::from_secs(30)..=Duration::from_secs(90)).contains(&pause), "{pause:?}");
        }
    }

    #[test]
    fn what_is_kept_for_ten_years_is_older_than_that() {
        let now = Timestamp::from_unix_micros(1_700_000_000_000_000);
        assert_eq!(ago(now, Duration::from_secs(1)), Timestamp::from_unix_micros(1_699_999_999_000_000));
        assert!(ago(now, Duration::MAX) < Timestamp::from_unix_micros(0));
    }
}
