//! Limits how many log lines are written about the same problem.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// The maximum of lines per second about one kind of problem. An overload causes thousands, and writing them all would
/// make it worse.
const MAX_LINES: NonZeroU32 = NonZeroU32::MIN.saturating_add(99);

/// For lines of which a few are enough: so many at once, then one per second.
const RARE: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);

/// Admits a limited number of lines, and counts the others. Clones share the count.
#[derive(Clone)]
pub struct Throttle {
    limiter: Arc<DefaultDirectRateLimiter>,
    dropped: Arc<AtomicU64>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self::with(Quota::per_second(MAX_LINES))
    }
}

impl Throttle {
    /// A throttle for lines of which a few are enough.
    #[must_use]
    pub fn rare() -> Self {
        Self::with(Quota::per_second(NonZeroU32::MIN).allow_burst(RARE))
    }

    fn with(quota: Quota) -> Self {
        Self { limiter: Arc::new(RateLimiter::direct(quota)), dropped: Arc::default() }
    }

    /// Whether a line may be written. If so, returns its ending, with the number of lines that were dropped before it.
    #[must_use]
    pub fn admit(&self) -> Option<String> {
        if self.limiter.check().is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        Some(if dropped == 0 { String::new() } else { format!("; and {dropped} more like it before") })
    }
}
