//! The retry budget: how many of one client's calls may be retried.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Each call earns this much credit, and each retry costs [`RETRY`]. Retries therefore add at most a fifth to the load.
const CALL: u32 = 1;
const RETRY: u32 = 5;
/// The most retries that a client can save up, and what it starts with. It covers the calls in flight when a replica
/// goes away, and clients that call rarely.
const RESERVE: u32 = 20;

/// The credit left for retries. When the service is down, its clients must not send it several times the usual load.
pub(crate) struct Budget(AtomicU32);

impl Budget {
    pub(crate) const fn new() -> Self {
        Self(AtomicU32::new(RESERVE * RETRY))
    }

    /// Credits the budget for one new call.
    pub(crate) fn earn(&self) {
        let _ = self.0.fetch_update(Relaxed, Relaxed, |left| Some((left + CALL).min(RESERVE * RETRY)));
    }

    /// Pays for one retry. Returns false when there is too little credit.
    pub(crate) fn spend(&self) -> bool {
        self.0.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(RETRY)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of retries possible without a call in between.
    fn spend_all(budget: &Budget) -> u32 {
        std::iter::repeat_with(|| budget.spend()).take_while(|spent| *spent).map(|_| 1).sum()
    }

    #[test]
    fn retries_add_at_most_a_fifth() {
        let budget = Budget::new();
        assert_eq!(spend_all(&budget), RESERVE);
        for _ in 0..50 {
            budget.earn();
        }
        assert_eq!(spend_all(&budget), 10);
    }

    #[test]
    fn savings_are_capped_at_the_reserve() {
        let budget = Budget::new();
        for _ in 0..10_000 {
            budget.earn();
        }
        assert_eq!(spend_all(&budget), RESERVE);
    }
}
