//! `std::time`, with a clock that only a model moves.

use real_std::cell::Cell;
use real_std::thread_local;

pub use real_std::time::Duration;

thread_local! {
    // loom runs all threads of a model on one thread of the system, and each test has its own.
    static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// A moment, by the time since the model began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(Duration);

impl Instant {
    #[must_use]
    pub fn now() -> Self {
        Self(NOW.get())
    }

    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Self::now().saturating_duration_since(*self)
    }

    #[must_use]
    pub const fn saturating_duration_since(&self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// Sets the clock to so long after the beginning.
pub(crate) fn set(now: Duration) {
    NOW.set(now);
}
