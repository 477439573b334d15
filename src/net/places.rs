//! Counts connections, and keeps some places for those who ask how the service is.
//!
//! A service whose connections are all in use looks dead to its load balancer, which cannot ask, and takes it away: then the next
//! replica gets its load. So some connections are accepted beyond the most, for a moment each: long enough to be answered what
//! is open to everybody, and too short for strangers who say nothing to keep others out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::timeout;

/// The places of one process. Clones share them.
#[derive(Clone, Debug)]
pub struct Places(Arc<Ordinary>);

#[derive(Debug)]
struct Ordinary {
    most: usize,
    taken: AtomicUsize,
}

impl Places {
    /// How many connections may be open beyond the most.
    pub const RESERVE: usize = 32;

    /// So many, and the reserve.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self(Arc::new(Ordinary { most, taken: AtomicUsize::new(0) }))
    }

    /// How many connections each of so many workers may have, so that all places can be taken.
    #[must_use]
    pub fn of_each(&self, workers: usize) -> usize {
        self.0.most.div_ceil(workers) + Self::RESERVE.div_ceil(workers)
    }

    /// Takes a place for a connection: one of the reserve when all others are taken. How many of those there are, is bounded by
    /// how many connections the workers may have.
    #[must_use]
    pub fn take(&self) -> Place {
        let Self(ordinary) = self;
        let more = |taken| (taken < ordinary.most).then_some(taken + 1);
        let taken = ordinary.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        Place(taken.is_ok().then(|| Arc::clone(ordinary)))
    }
}

/// A connection's place, until it is dropped. None of the ordinary ones: it is in the reserve.
#[derive(Debug)]
pub struct Place(Option<Arc<Ordinary>>);

impl Place {
    /// How long a connection in the reserve may take until it has asked for something.
    pub const BEGINS_WITHIN: Duration = Duration::from_secs(1);
    /// How long it may last.
    const ENDS_WITHIN: Duration = Duration::from_secs(2);

    /// Whether it may only ask for what is open to everybody, and once.
    #[must_use]
    pub const fn is_in_reserve(&self) -> bool {
        self.0.is_none()
    }

    /// Serves a connection in this place: `None` when it was cut off because the place is wanted for others.
    pub async fn hold<T>(self, connection: impl Future<Output = T>) -> Option<T> {
        if self.is_in_reserve() { timeout(Self::ENDS_WITHIN, connection).await.ok() } else { Some(connection.await) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(ordinary) = &self.0 {
            ordinary.taken.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_comes_when_all_are_taken_is_in_the_reserve() {
        let places = Places::new(2);
        let taken = [places.take(), places.take()];
        assert!(taken.iter().all(|place| !place.is_in_reserve()));
        let beyond = places.take();
        assert!(beyond.is_in_reserve() && places.take().is_in_reserve());
        drop(taken);
        assert!(!places.take().is_in_reserve());
        drop(beyond);
        let again = [places.take(), places.take(), places.take()];
        assert_eq!(
            again.each_ref().map(Place::is_in_reserve),
            [false, false, true],
            "it gave back no more than it had"
        );
    }

    #[test]
    fn workers_have_room_for_all() {
        for (most, workers) in [(1, 1), (2, 3), (10_000, 7), (5, 64)] {
            let each = Places::new(most).of_each(workers);
            assert!(each * workers >= most + Places::RESERVE, "{most} among {workers}");
        }
    }
}
