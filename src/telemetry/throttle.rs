use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// Lines about one kind of trouble that are written in a second, at most: an overload has thousands, and to write them all
/// would make it worse.
const MAX_LINES: NonZeroU32 = NonZeroU32::MIN.saturating_add(99);

/// Lines of which some tell as much as all: at once, and then one a second.
const RARE: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);

/// Lets so many lines through, and counts the others. Clones share the count.
#[derive(Clone)]
pub struct Throttle {
    limiter: Arc<DefaultDirectRateLimiter>,
    left_out: Arc<AtomicU64>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self::with(Quota::per_second(MAX_LINES))
    }
}

impl Throttle {
    /// For lines of which some tell as much as all.
    #[must_use]
    pub fn rare() -> Self {
        Self::with(Quota::per_second(NonZeroU32::MIN).allow_burst(RARE))
    }

    fn with(quota: Quota) -> Self {
        Self { limiter: Arc::new(RateLimiter::direct(quota)), left_out: Arc::default() }
    }

    /// Whether a line may be written, and then how it ends: with the number of those that were left out before it.
    #[must_use]
    pub fn admit(&self) -> Option<String> {
        if self.limiter.check().is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let left_out = self.left_out.swap(0, Ordering::Relaxed);
        Some(if left_out == 0 { String::new() } else { format!("; and {left_out} more like it before") })
    }
}
