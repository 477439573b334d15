//! The lanes of database actors: what waits, what runs, and what never ran.

use std::time::Duration;

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};

use super::users::Changes;
use super::{Change, DURATION_BUCKETS, Metrics, Sampled, counters, gauges, histograms, sampled};

const ACTORS: &str = "Database actors: threads that run batches.";
const CAPACITY: &str = "Messages that may wait for an actor; more are refused.";
const WAITING: &str = "Messages that wait for an actor.";
const EXPECTED_WAIT: &str = "How long a message that came now would wait, by the pace of those before it. Beyond DB_MAX_WAIT it would be refused.";
const WAIT: &str = "Time from when a message was sent until the actor that executed it took it.";
const BATCH_SIZE: &str = "Messages executed in one transaction.";
const TRANSACTION: &str = "Time that the transaction of a batch took, its commit included.";
const SET_ASIDE: &str =
    "Messages that are set aside because somebody else's transaction holds what they need, or behind one of those.";
const LOCKED: &str = "Times that a message found what it needs held by somebody else's transaction. Not executed, and tried again while there is time.";
const REFUSED: &str =
    "Messages refused at once: no room, a wait that would have been too long, or no database. Not executed.";
const EXPIRED: &str = "Messages whose deadline passed while they waited. Not executed.";
const ABANDONED: &str = "Messages whose client hung up while they waited. Not executed.";
const FAILED: &str = "Batches that failed as a whole; before a commit their messages are tried again in smaller parts.";

/// Messages; up to the largest batch by default, and beyond.
const SIZE_BUCKETS: [f64; 11] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

const LANE: &str = "lane";

#[derive(Clone)]
pub(super) struct Lanes {
    actors: IntGaugeVec,
    capacity: IntGaugeVec,
    waiting: Sampled,
    expected_wait: Sampled,
    waits: HistogramVec,
    sizes: HistogramVec,
    transactions: HistogramVec,
    set_aside: IntGaugeVec,
    locked: IntCounterVec,
    refused: IntCounterVec,
    expired: IntCounterVec,
    abandoned: IntCounterVec,
    failed: IntCounterVec,
}

impl Lanes {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let lane = &[LANE];
        let durations = |name, help| histograms(registry, name, help, lane, &DURATION_BUCKETS);
        Ok(Self {
            actors: gauges(registry, "db_actors", ACTORS, lane)?,
            capacity: gauges(registry, "db_mailbox_capacity_messages", CAPACITY, lane)?,
            waiting: sampled(registry, "db_messages_waiting", WAITING, lane)?,
            expected_wait: sampled(registry, "db_expected_wait_seconds", EXPECTED_WAIT, lane)?,
            waits: durations("db_wait_duration_seconds", WAIT)?,
            sizes: histograms(registry, "db_batch_size_messages", BATCH_SIZE, lane, &SIZE_BUCKETS)?,
            transactions: durations("db_transaction_duration_seconds", TRANSACTION)?,
            set_aside: gauges(registry, "db_messages_set_aside", SET_ASIDE, lane)?,
            locked: counters(registry, "db_messages_locked_total", LOCKED, lane)?,
            refused: counters(registry, "db_messages_refused_total", REFUSED, lane)?,
            expired: counters(registry, "db_messages_expired_total", EXPIRED, lane)?,
            abandoned: counters(registry, "db_messages_abandoned_total", ABANDONED, lane)?,
            failed: counters(registry, "db_batches_failed_total", FAILED, &[LANE, "outcome"])?,
        })
    }
}

impl Metrics {
    /// The metrics of one lane, which has so many actors, and in whose mailbox there is room for so many messages.
    #[must_use]
    pub fn lane(&self, name: &str, actors: usize, capacity: usize) -> LaneMetrics {
        let lanes = &self.lanes;
        let whole = |number| i64::try_from(number).unwrap_or(i64::MAX);
        lanes.actors.with_label_values(&[name]).set(whole(actors));
        lanes.capacity.with_label_values(&[name]).set(whole(capacity));
        LaneMetrics {
            waits: lanes.waits.with_label_values(&[name]),
            sizes: lanes.sizes.with_label_values(&[name]),
            transactions: lanes.transactions.with_label_values(&[name]),
            set_aside: lanes.set_aside.with_label_values(&[name]),
            locked: lanes.locked.with_label_values(&[name]),
            refused: lanes.refused.with_label_values(&[name]),
            expired: lanes.expired.with_label_values(&[name]),
            abandoned: lanes.abandoned.with_label_values(&[name]),
            failed: BatchFailure::ALL.map(|failure| lanes.failed.with_label_values(&[name, failure.outcome()])),
            changes: self.changes.clone(),
        }
    }

    /// Has the gauges of a lane tell, at each scrape, how many wait in it, and how long the next one would.
    pub fn watch_lane(
        &self,
        name: &str,
        waiting: impl Fn() -> usize + Send + Sync + 'static,
        expected_wait: impl Fn() -> Duration + Send + Sync + 'static,
    ) {
        #[expect(clippy::cast_precision_loss, reason = "a mailbox holds far less than 2^52 messages")]
        self.lanes.waiting.add(&[name], move || waiting() as f64);
        self.lanes.expected_wait.add(&[name], move || expected_wait().as_secs_f64());
    }
}

/// Why a batch failed as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchFailure {
    /// The pool had no connection for it.
    NoConnection,
    /// Its statement failed before its commit.
    NotExecuted,
    /// The answer to its commit was lost.
    OutcomeUnknown,
    /// The code panicked.
    Panic,
}

impl BatchFailure {
    const ALL: [Self; 4] = [Self::NoConnection, Self::NotExecuted, Self::OutcomeUnknown, Self::Panic];

    const fn outcome(self) -> &'static str {
        match self {
            Self::NoConnection => "no_connection",
            Self::NotExecuted => "not_executed",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::Panic => "panic",
        }
    }
}

/// What happens to the messages of one lane. Clones share the numbers.
#[derive(Clone)]
pub struct LaneMetrics {
    waits: Histogram,
    sizes: Histogram,
    transactions: Histogram,
    set_aside: IntGauge,
    locked: IntCounter,
    refused: IntCounter,
    expired: IntCounter,
    abandoned: IntCounter,
    /// In the order of [`BatchFailure::ALL`].
    failed: [IntCounter; BatchFailure::ALL.len()],
    changes: Changes,
}

impl LaneMetrics {
    /// So many messages are set aside now.
    pub fn set_aside(&self, messages: usize) {
        self.set_aside.set(i64::try_from(messages).unwrap_or(i64::MAX));
    }

    /// A message found what it needs held by somebody else.
    pub fn locked(&self) {
        self.locked.inc();
    }

    /// A message was refused at once.
    pub fn refused(&self) {
        self.refused.inc();
    }

    /// A message's deadline passed while it waited.
    pub fn expired(&self) {
        self.expired.inc();
    }

    /// A message's caller left while it waited.
    pub fn abandoned(&self) {
        self.abandoned.inc();
    }

    /// An actor took a message after this time, and executed it.
    pub fn waited(&self, wait: Duration) {
        self.waits.observe(wait.as_secs_f64());
    }

    /// A batch executed so many messages.
    pub fn executed(&self, messages: u32) {
        self.sizes.observe(f64::from(messages));
    }

    /// A batch's transaction has ended, well or not.
    pub fn transaction(&self, duration: Duration) {
        self.transactions.observe(duration.as_secs_f64());
    }

    /// A batch failed as a whole.
    pub fn failed(&self, failure: BatchFailure) {
        let counters = BatchFailure::ALL.iter().zip(&self.failed);
        counters.filter(|(other, _)| **other == failure).for_each(|(_, counter)| counter.inc());
    }

    /// A user was changed, and the change is committed.
    pub fn changed(&self, change: Change) {
        self.changes.count(change);
    }
}
