//! When a message is tried again that needs what somebody else holds.

use std::time::{Duration, Instant};

use crate::storage::database::locks::LockWaits;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Retry {
    pub(super) at: Instant,
    /// Since it was found that the lock's queue does not help.
    tries: u8,
    /// Whether nothing else may be in its batch, because that would have to wait with it.
    pub(super) alone: bool,
}

impl Retry {
    /// The first pause is about as long as a batch of another replica.
    const FIRST: Duration = Duration::from_millis(4);
    const LONGEST: Duration = Duration::from_millis(250);

    /// Right away, in a batch that queues for its users: most locks are those of another replica's batch. `None` if there is
    /// no time to queue before it is given up.
    pub(super) fn at_once(now: Instant, given_up: Instant) -> Option<Self> {
        (now + LockWaits::LONGEST < given_up).then_some(Self { at: now, tries: 0, alone: false })
    }

    /// After a pause twice as long as the one before, or when it is given up.
    pub(super) fn later(before: Option<Self>, alone: bool, now: Instant, given_up: Instant) -> Self {
        let tries = before.map_or(0, |before| before.tries).saturating_add(1);
        Self { at: (now + pause(tries)).min(given_up).max(now), tries, alone }
    }

    /// Whether what it needs has been held for so long that somebody should look who does it.
    pub(super) fn is_long(self) -> bool {
        pause(self.tries) == Self::LONGEST
    }

    /// Whether its batch queues for its users.
    pub(super) const fn queues(&self) -> bool {
        self.tries == 0
    }
}

/// The pause before one of the tries, which are counted from 1.
fn pause(tries: u8) -> Duration {
    let doubled = u32::from(tries).saturating_sub(1).min(10);
    (Retry::FIRST * (1 << doubled)).min(Retry::LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_until_it_is_given_up() {
        let begun = Instant::now();
        let given_up = begun + Duration::from_secs(2);
        let (mut retry, mut tries) = (Retry::at_once(begun, given_up).unwrap(), 0);
        while retry.at < given_up {
            let next = Retry::later(Some(retry), false, retry.at, given_up);
            let pauses = [retry.tries, next.tries].map(pause);
            assert!(!next.queues() && (retry.queues() || next.is_long() || pauses[1] == 2 * pauses[0]));
            assert!(next.at > retry.at && next.at <= given_up);
            (retry, tries) = (next, tries + 1);
        }
        assert!((5..20).contains(&tries), "{tries}");
    }

    #[test]
    fn who_is_in_a_hurry_is_not_tried_again() {
        let now = Instant::now();
        assert_eq!(Retry::at_once(now, now + Duration::from_millis(5)), None);
        assert_eq!(Retry::later(None, false, now, now).at, now, "to be given up");
    }
}
