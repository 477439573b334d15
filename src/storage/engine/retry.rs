//! When a message that is set aside is tried again.
//!
//! 1. At once, in a batch that queues for its users instead of skipping them, for at most 50 ms. By then another
//!    replica has committed, and a lock's queue is fair. By skipping alone, the replica that has just changed a user
//!    would find it free more often than the other replica. If such a batch was unsuccessful, the next one queues for a
//!    quarter of the time, down to 5 ms; if it succeeded, for twice the time.
//! 2. After pauses from 4 to 250 ms, in batches that skip the user again, which costs the others nothing. The message
//!    is given up when three eighths of its time are left, and 50 ms at least: a later attempt could end after the
//!    deadline, and its caller would not know whether it was executed.
//!
//! A message that waits for an address is tried alone, one such message between two batches.
//!
//! No batch waits again for a lock that is known to be held by another transaction.

use std::time::{Duration, Instant};

use crate::storage::database::connection::locks::LockTimeouts;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Retry {
    pub(super) at: Instant,
    /// Attempts since queueing for the lock has failed. 0 before.
    tries: u8,
    /// Whether the message needs a separate batch, because others would have to wait with it.
    pub(super) alone: bool,
}

impl Retry {
    /// About as long as a batch of another replica takes.
    const FIRST: Duration = Duration::from_millis(4);
    const LONGEST: Duration = Duration::from_millis(250);

    /// A retry without a pause, in a batch that queues for its users: most locks belong to a batch of another replica.
    /// `None` if there is no time to queue before the message is given up.
    pub(super) fn immediately(now: Instant, give_up_at: Instant) -> Option<Self> {
        (now + LockTimeouts::LONGEST < give_up_at).then_some(Self { at: now, tries: 0, alone: false })
    }

    /// A retry after a pause twice as long as the one before, or when the message is given up if that is earlier.
    pub(super) fn after_pause(before: Option<Self>, alone: bool, now: Instant, give_up_at: Instant) -> Self {
        let tries = before.map_or(0, |before| before.tries).saturating_add(1);
        Self { at: (now + pause(tries)).min(give_up_at).max(now), tries, alone }
    }

    /// Whether the pause has reached its maximum: the lock has been held so long that an operator should look.
    pub(super) fn is_longest(self) -> bool {
        pause(self.tries) == Self::LONGEST
    }

    /// Whether its batch queues for its users.
    pub(super) const fn queues(&self) -> bool {
        self.tries == 0
    }
}

/// The pause before an attempt. Attempts are counted from 1.
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
        let give_up_at = begun + Duration::from_secs(2);
        let (mut retry, mut tries) = (Retry::immediately(begun, give_up_at).unwrap(), 0);
        while retry.at < give_up_at {
            let next = Retry::after_pause(Some(retry), false, retry.at, give_up_at);
            let pauses = [retry.tries, next.tries].map(pause);
            assert!(!next.queues() && (retry.queues() || next.is_longest() || pauses[1] == 2 * pauses[0]));
            assert!(next.at > retry.at && next.at <= give_up_at);
            (retry, tries) = (next, tries + 1);
        }
        assert!((5..20).contains(&tries), "{tries}");
    }

    #[test]
    fn a_message_without_time_is_not_retried() {
        let now = Instant::now();
        assert_eq!(Retry::immediately(now, now + Duration::from_millis(5)), None);
        assert_eq!(Retry::after_pause(None, false, now, now).at, now, "to be given up");
    }
}
