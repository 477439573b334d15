use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounter, Registry};

use super::register::{counters, register};
use super::sampled::Sampled;

const HITS: &str = "Look-ups of users that were answered from memory.";
const MISSES: &str = "Look-ups of users that asked the database, although there is a cache.";
const FLUSHES: &str = "Times that the cache has dropped all entries, by reason.";
const CHECKS: &str = "Statements that have asked the log of events what has changed, on PostgreSQL.";
const GAPS: &str = "Gaps in the log of events that a transaction may still fill, on PostgreSQL.";
const STALENESS: &str =
    "How old answers were that were given without asking the database, on PostgreSQL with MAX_STALENESS.";
const ENTRIES: &str = "Entries in the cache: users, addresses, and what is known to be missing.";
const BYTES: &str = "About how much memory the entries take.";

/// `MAX_STALENESS` is mostly below a second; a caller may allow a minute.
const STALENESS_BUCKETS: [f64; 9] = [0.001, 0.005, 0.025, 0.1, 0.25, 1.0, 5.0, 15.0, 60.0];

/// Why the cache has dropped all entries.
#[derive(Clone, Copy, Debug)]
pub enum Flush {
    /// On SQLite: a commit whose changes are not known.
    Commit,
    /// On SQLite: the files of the database were opened anew.
    Files,
    /// On PostgreSQL: a change without an event, or an event without its data.
    Mark,
    /// On PostgreSQL: another server, or another log.
    Log,
    /// On PostgreSQL: events are pruned that had not been read.
    Retention,
    /// On PostgreSQL: too many events or gaps since the last look-up.
    Behind,
}

/// Metrics of the user cache. Clones share the numbers.
#[derive(Clone)]
pub struct UserCacheMetrics {
    hits: IntCounter,
    misses: IntCounter,
    checks: IntCounter,
    flushes: [IntCounter; 6],
    staleness: Histogram,
    gaps: Sampled,
    entries: Sampled,
    bytes: Sampled,
}

impl UserCacheMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name, help| register(registry, IntCounter::new(name, help)?);
        let flushes = counters(registry, "user_cache_flushes_total", FLUSHES, &["reason"])?;
        let flushes = ["commit", "files", "mark", "log", "retention", "behind"]
            .map(|reason| flushes.with_label_values(&[reason]));
        let staleness =
            HistogramOpts::new("user_cache_staleness_seconds", STALENESS).buckets(STALENESS_BUCKETS.to_vec());
        Ok(Self {
            hits: counter("user_cache_hits_total", HITS)?,
            misses: counter("user_cache_misses_total", MISSES)?,
            checks: counter("user_cache_checks_total", CHECKS)?,
            flushes,
            staleness: register(registry, Histogram::with_opts(staleness)?)?,
            gaps: register(registry, Sampled::new("user_cache_gaps", GAPS, &[])?)?,
            entries: register(registry, Sampled::new("user_cache_entries", ENTRIES, &[])?)?,
            bytes: register(registry, Sampled::new("user_cache_bytes", BYTES, &[])?)?,
        })
    }

    /// Reads the number of entries, their bytes, and the number of gaps, at each scrape.
    pub fn watch(
        &self,
        entries: impl Fn() -> usize + Send + Sync + 'static,
        bytes: impl Fn() -> u64 + Send + Sync + 'static,
        gaps: impl Fn() -> usize + Send + Sync + 'static,
    ) {
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and these are far below 2^52")]
        self.entries.add(&[], move || entries() as f64);
        #[expect(clippy::cast_precision_loss, reason = "as above")]
        self.bytes.add(&[], move || bytes() as f64);
        #[expect(clippy::cast_precision_loss, reason = "as above")]
        self.gaps.add(&[], move || gaps() as f64);
    }

    /// Counts a look-up, by whether it was answered from memory.
    pub fn looked_up(&self, is_hit: bool) {
        if is_hit { self.hits.inc() } else { self.misses.inc() }
    }

    /// Counts look-ups that one statement has answered together.
    pub fn looked_up_together(&self, hits: usize, misses: usize) {
        self.hits.inc_by(hits as u64);
        self.misses.inc_by(misses as u64);
    }

    /// Counts a look-up that was answered without asking whether something has changed, and how old its answer was.
    pub fn looked_up_stale(&self, age: Duration) {
        self.hits.inc();
        self.staleness.observe(age.as_secs_f64());
    }

    /// Counts a statement that has asked what has changed.
    pub fn checked(&self) {
        self.checks.inc();
    }

    /// Counts a flush.
    pub fn flushed(&self, reason: Flush) {
        let [commit, files, mark, log, retention, behind] = &self.flushes;
        match reason {
            Flush::Commit => commit,
            Flush::Files => files,
            Flush::Mark => mark,
            Flush::Log => log,
            Flush::Retention => retention,
            Flush::Behind => behind,
        }
        .inc();
    }
}
