//! How many calls may be repeated, of all that one client makes.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// What a call earns; a repeat costs [`REPEAT`]. So at most a fifth is added to the load.
const CALL: u32 = 1;
const REPEAT: u32 = 5;
/// So many repeats may be saved up, and are there from the start: what it takes when a replica goes with calls in flight,
/// and when calls are few.
const RESERVE: u32 = 20;

/// Repeats that are left: when the service is down, it must not be asked several times as often as when it is up.
pub(crate) struct Budget(AtomicU32);

impl Budget {
    pub(crate) const fn new() -> Self {
        Self(AtomicU32::new(RESERVE * REPEAT))
    }

    /// A call begins.
    pub(crate) fn earn(&self) {
        let _ = self.0.fetch_update(Relaxed, Relaxed, |left| Some((left + CALL).min(RESERVE * REPEAT)));
    }

    /// Whether a call may be repeated once more; then that is spent.
    pub(crate) fn spend(&self) -> bool {
        self.0.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(REPEAT)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many as may be had without a call in between.
    fn spend_all(budget: &Budget) -> u32 {
        std::iter::repeat_with(|| budget.spend()).take_while(|spent| *spent).map(|_| 1).sum()
    }

    #[test]
    fn a_fifth_is_added_at_most() {
        let budget = Budget::new();
        assert_eq!(spend_all(&budget), RESERVE);
        for _ in 0..50 {
            budget.earn();
        }
        assert_eq!(spend_all(&budget), 10);
    }

    #[test]
    fn no_more_than_the_reserve_is_saved_up() {
        let budget = Budget::new();
        for _ in 0..10_000 {
            budget.earn();
        }
        assert_eq!(spend_all(&budget), RESERVE);
    }
}
