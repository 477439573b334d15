//! The pace of a lane: how long its batches take, and how many are ahead of a new message.
//!
//! From these the lane estimates how long a new message would wait. A message that would wait longer than `DB_MAX_WAIT`
//! is refused at once instead of at its deadline. The first message to wait is never refused. `DB_MAX_WAIT`, 1 s, is
//! half of `DB_DEADLINE`: an admitted message has as long again to be executed. It is also twice as long as a locked
//! row can delay a statement.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::{Duration, Instant};

/// The pace of one lane, updated by its actors and read by its callers. A rough estimate is enough, so there is no
/// lock.
pub(super) struct Pace {
    actors: usize,
    max_batch: usize,
    start: Instant,
    /// How many actors run a batch.
    busy: AtomicUsize,
    /// When the last batch began. Nanoseconds since `start`.
    began: AtomicU64,
    /// The smoothed duration of a batch, in nanoseconds.
    batch: AtomicU64,
}

/// The weight of a new batch is one in so many: the estimate follows a database that slows down, and a single slow
/// batch has little effect.
const SMOOTHING: u64 = 8;

impl Pace {
    pub(super) fn new(actors: usize, max_batch: usize) -> Self {
        Self {
            actors,
            max_batch,
            start: Instant::now(),
            busy: AtomicUsize::new(0),
            began: AtomicU64::new(0),
            batch: AtomicU64::new(0),
        }
    }

    /// How long a message behind `waiting` others will probably wait.
    ///
    /// Zero if none waits: the next batch starts with this message, and only new batches reveal that a slow lane has
    /// become fast again.
    pub(super) fn expected_wait(&self, waiting: usize, now: Instant) -> Duration {
        if waiting == 0 {
            return Duration::ZERO;
        }
        // A batch that already takes longer than usual will probably take as long again.
        let all_busy = self.busy.load(Acquire) >= self.actors;
        let running = if all_busy { self.nanos(now).saturating_sub(self.began.load(Relaxed)) } else { 0 };
        let batch = Duration::from_nanos(self.batch.load(Relaxed).max(running));
        let rounds = usize::from(all_busy) + waiting / self.actors.saturating_mul(self.max_batch).max(1);
        batch.saturating_mul(u32::try_from(rounds).unwrap_or(u32::MAX))
    }

    /// Starts to time a batch of an actor. The batch ends when the returned timer is dropped.
    pub(super) fn begin(&self) -> BatchTimer<'_> {
        let begun = Instant::now();
        self.began.store(self.nanos(begun), Relaxed);
        // Release: a caller that sees this actor busy must also see when its batch began.
        self.busy.fetch_add(1, Release);
        BatchTimer { pace: self, begun }
    }

    /// Uncounts the batch of an abandoned actor. Called by the actor that replaces it.
    pub(super) fn release_abandoned(&self) {
        self.busy.fetch_sub(1, Relaxed);
    }

    fn end(&self, took: Duration) {
        self.busy.fetch_sub(1, Relaxed);
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let before = self.batch.load(Relaxed);
        // If two actors end a batch at the same moment, one batch may go uncounted.
        self.batch.store(before - before / SMOOTHING + took / SMOOTHING, Relaxed);
    }

    fn nanos(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.start).as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Times one batch of one actor.
pub(super) struct BatchTimer<'a> {
    pace: &'a Pace,
    begun: Instant,
}

impl BatchTimer<'_> {
    /// Leaves the batch uncounted: the actor was abandoned, and its replacement has released it.
    pub(super) fn abandon(self) {
        std::mem::forget(self);
    }
}

impl Drop for BatchTimer<'_> {
    fn drop(&mut self) {
        self.pace.end(self.begun.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCH: Duration = Duration::from_millis(100);

    /// A lane whose batches have all taken [`BATCH`].
    fn steady(actors: usize, max_batch: usize) -> Pace {
        let pace = Pace::new(actors, max_batch);
        for _ in 0..100 {
            pace.busy.fetch_add(1, Relaxed);
            pace.end(BATCH);
        }
        pace
    }

    /// The same, and all actors run a batch now.
    fn busy(actors: usize, max_batch: usize) -> Pace {
        let pace = steady(actors, max_batch);
        (0..actors).for_each(|_| std::mem::forget(pace.begin()));
        pace
    }

    fn wait_is_about(pace: &Pace, waiting: usize, batches: u32) {
        let wait = pace.expected_wait(waiting, Instant::now());
        let (least, most) = (BATCH * batches * 3 / 4, BATCH * batches);
        assert!((least..=most).contains(&wait), "{waiting} waiting: {wait:?}");
    }

    #[test]
    fn the_first_message_does_not_wait() {
        assert_eq!(busy(1, 1).expected_wait(0, Instant::now()), Duration::ZERO);
    }

    #[test]
    fn with_an_idle_actor_there_is_no_wait() {
        assert_eq!(steady(1, 10).expected_wait(9, Instant::now()), Duration::ZERO);
    }

    #[test]
    fn each_full_batch_ahead_adds_its_duration() {
        let pace = busy(1, 10);
        wait_is_about(&pace, 1, 1);
        wait_is_about(&pace, 9, 1);
        wait_is_about(&pace, 10, 2);
        wait_is_about(&pace, 35, 4);
    }

    #[test]
    fn actors_share_the_work() {
        wait_is_about(&busy(4, 1), 8, 3);
    }

    #[test]
    fn a_hung_batch_is_expected_to_go_on() {
        let pace = Pace::new(1, 10);
        let timer = pace.begin();
        let later = Instant::now() + Duration::from_secs(1);
        assert!(pace.expected_wait(1, later) >= Duration::from_secs(1));
        drop(timer);
        assert_eq!(pace.expected_wait(1, later), Duration::ZERO);
    }

    #[test]
    fn the_replacement_of_a_hung_actor_is_not_busy() {
        let pace = Pace::new(1, 10);
        pace.begin().abandon();
        pace.release_abandoned();
        let later = Instant::now() + Duration::from_secs(1);
        assert_eq!(pace.expected_wait(1, later), Duration::ZERO);
        let _lap = pace.begin();
        assert!(pace.expected_wait(1, later) > Duration::ZERO);
    }

    #[test]
    fn one_hung_actor_does_not_delay_the_other() {
        let pace = Pace::new(2, 10);
        let _hangs = pace.begin();
        assert_eq!(pace.expected_wait(1, Instant::now() + Duration::from_secs(1)), Duration::ZERO);
    }

    #[test]
    fn a_slow_batch_loses_its_weight() {
        let pace = Pace::new(1, 10);
        for took in [Duration::from_secs(1)].into_iter().chain([Duration::from_millis(1); 40]) {
            pace.busy.fetch_add(1, Relaxed);
            pace.end(took);
        }
        let _lap = pace.begin();
        assert!(pace.expected_wait(1, Instant::now()) < Duration::from_millis(50));
    }
}
