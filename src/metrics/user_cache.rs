use prometheus::{IntCounter, Registry};

use super::register::{counters, register};
use super::sampled::Sampled;

const HITS: &str = "Look-ups of users that were answered from memory.";
const MISSES: &str = "Look-ups of users that asked the database, although there is a cache.";
const FLUSHES: &str = "Times that the cache has dropped all entries, by reason.";
const ENTRIES: &str = "Entries in the cache: users, addresses, and what is known to be missing.";
const BYTES: &str = "About how much memory the entries take.";

/// Why the cache has dropped all entries.
#[derive(Clone, Copy, Debug)]
pub enum Flush {
    /// A commit whose changes are not known.
    Commit,
    /// The files of the database were opened anew.
    Files,
}

/// Metrics of the user cache. Clones share the numbers.
#[derive(Clone)]
pub struct UserCacheMetrics {
    hits: IntCounter,
    misses: IntCounter,
    commit: IntCounter,
    files: IntCounter,
    entries: Sampled,
    bytes: Sampled,
}

impl UserCacheMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name, help| register(registry, IntCounter::new(name, help)?);
        let flushes = counters(registry, "user_cache_flushes_total", FLUSHES, &["reason"])?;
        Ok(Self {
            hits: counter("user_cache_hits_total", HITS)?,
            misses: counter("user_cache_misses_total", MISSES)?,
            commit: flushes.with_label_values(&["commit"]),
            files: flushes.with_label_values(&["files"]),
            entries: register(registry, Sampled::new("user_cache_entries", ENTRIES, &[])?)?,
            bytes: register(registry, Sampled::new("user_cache_bytes", BYTES, &[])?)?,
        })
    }

    /// Reads the number of entries, and their bytes, at each scrape.
    pub fn watch(
        &self,
        entries: impl Fn() -> usize + Send + Sync + 'static,
        bytes: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and these are far below 2^52")]
        self.entries.add(&[], move || entries() as f64);
        #[expect(clippy::cast_precision_loss, reason = "as above")]
        self.bytes.add(&[], move || bytes() as f64);
    }

    /// Counts a look-up, by whether it was answered from memory.
    pub fn looked_up(&self, is_hit: bool) {
        if is_hit { self.hits.inc() } else { self.misses.inc() }
    }

    /// Counts a flush.
    pub fn flushed(&self, reason: Flush) {
        match reason {
            Flush::Commit => self.commit.inc(),
            Flush::Files => self.files.inc(),
        }
    }
}
