//! Generations of connections: all that were opened since a connection was last found dead.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a suspicion alone may end a generation. If every new connection fails like the old one, the database is at
/// fault, and reconnecting again and again would only add to its load.
const BETWEEN_SUSPICIONS: Duration = Duration::from_secs(1);

/// The current generation of connections. Connections of earlier generations are not handed out again.
#[derive(Default)]
pub(super) struct Generation {
    current: AtomicU64,
    suspected: Mutex<Option<Instant>>,
}

impl Generation {
    pub(super) fn current(&self) -> u64 {
        self.current.load(Ordering::Relaxed)
    }

    /// Ends the current generation: no connection that is open now is handed out again.
    pub(super) fn end_current(&self) {
        self.current.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends this generation, if it is the current one. What is known about an older connection says nothing about newer
    /// ones.
    pub(super) fn end(&self, generation: u64) {
        let _ = self.current.compare_exchange(generation, generation + 1, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Ends this generation because one of its connections may be at fault, unless a suspicion has ended another one
    /// within the last second. Returns whether it has ended, now or before.
    pub(super) fn suspect(&self, generation: u64) -> bool {
        let mut suspected = self.suspected.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock: another suspicion may have ended it meanwhile.
        if generation != self.current() {
            return true;
        }
        if suspected.is_some_and(|at| at.elapsed() < BETWEEN_SUSPICIONS) {
            return false;
        }
        *suspected = Some(Instant::now());
        self.end(generation);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_an_old_connection_does_not_end_the_new_generation() {
        let generation = Generation::default();
        generation.end(0);
        generation.end(0);
        assert_eq!(generation.current(), 1);
        assert!(generation.suspect(0));
        assert_eq!(generation.current(), 1);
    }

    #[test]
    fn suspicions_end_one_generation_a_second() {
        let generation = Generation::default();
        assert!(generation.suspect(0));
        assert!(!generation.suspect(1));
        assert_eq!(generation.current(), 1);
        *generation.suspected.lock().unwrap() = Instant::now().checked_sub(BETWEEN_SUSPICIONS);
        assert!(generation.suspect(1));
        assert_eq!(generation.current(), 2);
    }
}
