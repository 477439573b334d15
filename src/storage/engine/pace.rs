//! How fast a lane gets on: by this a message that would wait too long is refused at once, and not at its deadline.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::{Duration, Instant};

/// The pace of one lane, kept by its actors and looked at by its callers. A rough guess will do, so nothing is a lock.
pub(super) struct Pace {
    actors: usize,
    max_batch: usize,
    start: Instant,
    /// Actors that have a batch.
    busy: AtomicUsize,
    /// When a batch was taken last. Nanoseconds since the start.
    taken: AtomicU64,
    /// How long a batch takes, smoothed. Nanoseconds.
    batch: AtomicU64,
}

/// A new batch counts for one part in so many: enough to follow a database that slows down, too little for one slow batch
/// to matter long.
const PARTS: u64 = 8;

impl Pace {
    pub(super) fn new(actors: usize, max_batch: usize) -> Self {
        Self {
            actors,
            max_batch,
            start: Instant::now(),
            busy: AtomicUsize::new(0),
            taken: AtomicU64::new(0),
            batch: AtomicU64::new(0),
        }
    }

    /// How long a message will wait that comes behind so many others, if all goes on as it does.
    ///
    /// Not at all when nothing waits: the next batch is made of such messages, and only batches tell a lane that was slow
    /// that it is fast again.
    pub(super) fn expected_wait(&self, waiting: usize, now: Instant) -> Duration {
        if waiting == 0 {
            return Duration::ZERO;
        }
        // A batch that takes longer than usual will probably go on for as long again.
        let all_busy = self.busy.load(Acquire) >= self.actors;
        let under_way = if all_busy { self.nanos(now).saturating_sub(self.taken.load(Relaxed)) } else { 0 };
        let batch = Duration::from_nanos(self.batch.load(Relaxed).max(under_way));
        let rounds = usize::from(all_busy) + waiting / self.actors.saturating_mul(self.max_batch).max(1);
        batch.saturating_mul(u32::try_from(rounds).unwrap_or(u32::MAX))
    }

    /// An actor has taken a batch, and is at it until it drops what this returns.
    pub(super) fn begin(&self) -> Lap<'_> {
        let begun = Instant::now();
        self.taken.store(self.nanos(begun), Relaxed);
        // Whoever sees this actor busy must not see when the batch before was taken, an idle hour ago.
        self.busy.fetch_add(1, Release);
        Lap { pace: self, begun }
    }

    /// An actor begins in the place of one that hangs, whose lap is left open.
    pub(super) fn replace(&self) {
        self.busy.fetch_sub(1, Relaxed);
    }

    fn end(&self, took: Duration) {
        self.busy.fetch_sub(1, Relaxed);
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let before = self.batch.load(Relaxed);
        // Of two actors that end in the same moment one may go uncounted.
        self.batch.store(before - before / PARTS + took / PARTS, Relaxed);
    }

    fn nanos(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.start).as_nanos()).unwrap_or(u64::MAX)
    }
}

/// One batch of one actor.
pub(super) struct Lap<'a> {
    pace: &'a Pace,
    begun: Instant,
}

impl Lap<'_> {
    /// Does not end it: whoever has taken the actor's place has done so.
    pub(super) fn leave_open(self) {
        std::mem::forget(self);
    }
}

impl Drop for Lap<'_> {
    fn drop(&mut self) {
        self.pace.end(self.begun.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCH: Duration = Duration::from_millis(100);

    /// A lane whose batches have all taken that long.
    fn steady(actors: usize, max_batch: usize) -> Pace {
        let pace = Pace::new(actors, max_batch);
        for _ in 0..100 {
            pace.busy.fetch_add(1, Relaxed);
            pace.end(BATCH);
        }
        pace
    }

    /// ... and whose actors all have one now.
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
    fn whoever_comes_first_does_not_wait() {
        assert_eq!(busy(1, 1).expected_wait(0, Instant::now()), Duration::ZERO);
    }

    #[test]
    fn an_idle_actor_is_no_reason_to_wait() {
        assert_eq!(steady(1, 10).expected_wait(9, Instant::now()), Duration::ZERO);
    }

    #[test]
    fn a_full_batch_before_it_is_a_batch_to_wait_for() {
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
    fn a_batch_that_hangs_is_expected_to_hang_on() {
        let pace = Pace::new(1, 10);
        let lap = pace.begin();
        let later = Instant::now() + Duration::from_secs(1);
        assert!(pace.expected_wait(1, later) >= Duration::from_secs(1));
        drop(lap);
        assert_eq!(pace.expected_wait(1, later), Duration::ZERO);
    }

    #[test]
    fn whoever_takes_the_place_of_one_that_hangs_is_not_busy() {
        let pace = Pace::new(1, 10);
        pace.begin().leave_open();
        pace.replace();
        let later = Instant::now() + Duration::from_secs(1);
        assert_eq!(pace.expected_wait(1, later), Duration::ZERO);
        let _lap = pace.begin();
        assert!(pace.expected_wait(1, later) > Duration::ZERO);
    }

    #[test]
    fn one_of_two_that_hangs_does_not_hold_the_other() {
        let pace = Pace::new(2, 10);
        let _hangs = pace.begin();
        assert_eq!(pace.expected_wait(1, Instant::now() + Duration::from_secs(1)), Duration::ZERO);
    }

    #[test]
    fn a_slow_batch_is_soon_forgotten() {
        let pace = Pace::new(1, 10);
        for took in [Duration::from_secs(1)].into_iter().chain([Duration::from_millis(1); 40]) {
            pace.busy.fetch_add(1, Relaxed);
            pace.end(took);
        }
        let _lap = pace.begin();
        assert!(pace.expected_wait(1, Instant::now()) < Duration::from_millis(50));
    }
}
