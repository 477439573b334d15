use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::backoff::backoff;
use crate::domain::UserId;

/// The longest pause between two attempts.
const LONGEST: Duration = Duration::from_mins(1);

/// The users with held events, and when the first event of each is due for another attempt.
#[derive(Default)]
pub(super) struct HeldUsers(HashMap<UserId, Retry>);

struct Retry {
    due: Instant,
    is_in_flight: bool,
}

impl HeldUsers {
    /// Adds a user whose first held event was refused `tries` times. Does nothing if the user is known.
    pub(super) fn add(&mut self, user: UserId, tries: i64) {
        if !self.contains(user) {
            self.retry(user, tries);
        }
    }

    /// The first of a user's held events is in flight again.
    pub(super) fn sending(&mut self, user: UserId) {
        self.0.entry(user).and_modify(|retry| retry.is_in_flight = true);
    }

    /// Schedules the user's next held event: immediately if it has not been tried, otherwise after a backoff.
    pub(super) fn retry(&mut self, user: UserId, tries: i64) {
        let failures = u32::try_from(tries).unwrap_or(u32::MAX);
        let pause = if failures == 0 { Duration::ZERO } else { backoff(failures, LONGEST) };
        self.0.insert(user, Retry { due: Instant::now() + pause, is_in_flight: false });
    }

    /// The user has no held events any more.
    pub(super) fn remove(&mut self, user: UserId) {
        self.0.remove(&user);
    }

    pub(super) fn contains(&self, user: UserId) -> bool {
        self.0.contains_key(&user)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Up to `most` users whose next event is due, among those that `may` accepts.
    pub(super) fn due(&self, most: usize, may: impl Fn(UserId) -> bool) -> Vec<UserId> {
        let now = Instant::now();
        let due = self.0.iter().filter(|(_, retry)| !retry.is_in_flight && retry.due <= now);
        due.map(|(user, _)| *user).filter(|user| may(*user)).take(most).collect()
    }

    /// When the next event is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.0.values().filter(|retry| !retry.is_in_flight).map(|retry| retry.due).min()
    }
}
