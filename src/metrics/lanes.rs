//! The lanes of database actors: messages that wait, run, or are dropped before they run.

use std::time::Duration;

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};

use super::register::{DURATION_BUCKETS, counters, gauges, histograms, sampled};
use super::sampled::Sampled;
use super::users::{Change, Changes};

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

/// Buckets of batch sizes, in messages: up to the default maximum, and beyond.
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

    pub(super) fn watch(
        &self,
        name: &str,
        waiting: impl Fn() -> usize + Send + Sync + 'static,
        expected_wait: impl Fn() -> Duration + Send + Sync + 'static,
    ) {
        #[expect(clippy::cast_precision_loss, reason = "a mailbox holds far less than 2^52 messages")]
        self.waiting.add(&[name], move || waiting() as f64);
        self.expected_wait.add(&[name], move || expected_wait().as_secs_f64());
    }
}

/// Why a batch failed as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchFailure {
    /// The pool had no connection for the batch.
    NoConnection,
    /// A statement failed before the commit.
    NotExecuted,
    /// The response to the commit was lost.
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

/// The metrics of one lane. Clones share the numbers.
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
    pub(super) fn new(lanes: &Lanes, changes: &Changes, name: &str, actors: usize, capacity: usize) -> Self {
        let whole = |number| i64::try_from(number).unwrap_or(i64::MAX);
        lanes.actors.with_label_values(&[name]).set(whole(actors));
        lanes.capacity.with_label_values(&[name]).set(whole(capacity));
        Self {
            waits: lanes.waits.with_label_values(&[name]),
            sizes: lanes.sizes.with_label_values(&[name]),
            transactions: lanes.transactions.with_label_values(&[name]),
            set_aside: lanes.set_aside.with_label_values(&[name]),
            locked: lanes.locked.with_label_values(&[name]),
            refused: lanes.refused.with_label_values(&[name]),
            expired: lanes.expired.with_label_values(&[name]),
            abandoned: lanes.abandoned.with_label_values(&[name]),
            failed: BatchFailure::ALL.map(|failure| lanes.failed.with_label_values(&[name, failure.outcome()])),
            changes: changes.clone(),
        }
    }

    /// Sets the number of messages that are set aside.
    pub fn set_aside(&self, messages: usize) {
        self.set_aside.set(i64::try_from(messages).unwrap_or(i64::MAX));
    }

    /// Counts a message that found a lock it needs held by another transaction.
    pub fn locked(&self) {
        self.locked.inc();
    }

    /// Counts a message that was refused immediately.
    pub fn refused(&self) {
        self.refused.inc();
    }

    /// Counts a message whose deadline passed while it waited.
    pub fn expired(&self) {
        self.expired.inc();
    }

    /// Counts a message whose caller disconnected while it waited.
    pub fn abandoned(&self) {
        self.abandoned.inc();
    }

    /// Records how long a message waited for the actor that executed it.
    pub fn waited(&self, wait: Duration) {
        self.waits.observe(wait.as_secs_f64());
    }

    /// Records the size of an executed batch.
    pub fn executed(&self, messages: u32) {
        self.sizes.observe(f64::from(messages));
    }

    /// Records the duration of a transaction, successful or not.
    pub fn transaction(&self, duration: Duration) {
        self.transactions.observe(duration.as_secs_f64());
    }

    /// Counts a batch that failed as a whole.
    pub fn failed(&self, failure: BatchFailure) {
        let counters = BatchFailure::ALL.iter().zip(&self.failed);
        counters.filter(|(other, _)| **other == failure).for_each(|(_, counter)| counter.inc());
    }

    /// Counts a committed change of a user.
    pub fn changed(&self, change: Change) {
        self.changes.count(change);
    }
}
