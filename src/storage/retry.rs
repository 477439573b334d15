//! When a message is tried again that needs what somebody else holds.

use std::time::{Duration, Instant};

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
    /// A try that begins so short before the deadline could end after it; then the caller would not know whether it was
    /// executed.
    pub(super) const LAST: Duration = Duration::from_millis(50);

    /// Right away, in a batch that queues for its users: most locks are those of another replica's batch. `None` if there is
    /// no time to queue.
    pub(super) fn at_once(now: Instant, deadline: Instant) -> Option<Self> {
        (now + 2 * Self::LAST < deadline).then_some(Self { at: now, tries: 0, alone: false })
    }

    /// After a pause twice as long as the one before. What comes after the last try is that the message is given up.
    pub(super) fn later(before: Option<Self>, alone: bool, now: Instant, deadline: Instant) -> Self {
        let tries = before.map_or(0, |before| before.tries).saturating_add(1);
        let last = deadline.checked_sub(Self::LAST).unwrap_or(now);
        Self { at: (now + pause(tries)).min(last).max(now), tries, alone }
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
    fn pauses_grow_until_the_deadline() {
        let begun = Instant::now();
        let deadline = begun + Duration::from_secs(2);
        let (mut retry, mut tries) = (Retry::at_once(begun, deadline).unwrap(), 0);
        while retry.at + Retry::LAST < deadline {
            let next = Retry::later(Some(retry), false, retry.at, deadline);
            let pauses = [retry.tries, next.tries].map(pause);
            assert!(!next.queues() && (retry.queues() || next.is_long() || pauses[1] == 2 * pauses[0]));
            assert!(next.at > retry.at && next.at + Retry::LAST <= deadline);
            (retry, tries) = (next, tries + 1);
        }
        assert!((5..20).contains(&tries), "{tries}");
    }

    #[test]
    fn who_is_in_a_hurry_is_not_tried_again() {
        let now = Instant::now();
        let deadline = now + Duration::from_millis(5);
        assert_eq!(Retry::at_once(now, deadline), None);
        assert_eq!(Retry::later(None, false, now, deadline).at, now, "to be given up");
    }
}
