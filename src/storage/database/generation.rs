use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often the connections of a generation may be replaced on suspicion alone. Where every new connection fails as the old
/// one did, the database is at fault, and connecting again and again would only add to its trouble.
const BETWEEN_SUSPICIONS: Duration = Duration::from_secs(1);

/// Which connections may still be used: those that were opened since the last time that one was found unfit.
#[derive(Default)]
pub(super) struct Generation {
    current: AtomicU64,
    suspected: Mutex<Option<Instant>>,
}

impl Generation {
    pub(super) fn current(&self) -> u64 {
        self.current.load(Ordering::Relaxed)
    }

    /// No connection that is open now is to be used again.
    pub(super) fn end_current(&self) {
        self.current.fetch_add(1, Ordering::Relaxed);
    }

    /// No connection of this generation is to be used again. What was found out about an older one says nothing of this one.
    pub(super) fn end(&self, generation: u64) {
        let _ = self.current.compare_exchange(generation, generation + 1, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Ends this generation because one of its connections may be unfit, unless another one was ended for that just now. True
    /// when it has ended, now or before.
    pub(super) fn suspect(&self, generation: u64) -> bool {
        if generation != self.current() {
            return true;
        }
        let mut suspected = self.suspected.lock().unwrap_or_else(PoisonError::into_inner);
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
    fn what_is_known_of_an_old_one_does_not_end_the_new_one() {
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
