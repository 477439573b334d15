use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::backoff::backoff;
use crate::domain::UserId;

/// The longest time between two tries.
const LONGEST: Duration = Duration::from_mins(1);

/// The users whose events are held, and when the first of them is tried again.
#[derive(Default)]
pub(super) struct HeldUsers(HashMap<UserId, Retry>);

struct Retry {
    due: Instant,
    on_its_way: bool,
}

impl HeldUsers {
    /// A user's events are held, and the first was refused so many times. If that is news, it is to be tried when its time
    /// comes.
    pub(super) fn add(&mut self, user: UserId, tries: i64) {
        if !self.contains(user) {
            self.retry(user, tries);
        }
    }

    /// The first of a user's events is on its way again.
    pub(super) fn sending(&mut self, user: UserId) {
        self.0.entry(user).and_modify(|retry| retry.on_its_way = true);
    }

    /// The user's next event is to be tried: at once, or, after so many tries of the same one, later.
    pub(super) fn retry(&mut self, user: UserId, tries: i64) {
        let failures = u32::try_from(tries).unwrap_or(u32::MAX);
        let pause = if failures == 0 { Duration::ZERO } else { backoff(failures, LONGEST) };
        self.0.insert(user, Retry { due: Instant::now() + pause, on_its_way: false });
    }

    /// None of a user's events is held any more.
    pub(super) fn remove(&mut self, user: UserId) {
        self.0.remove(&user);
    }

    pub(super) fn contains(&self, user: UserId) -> bool {
        self.0.contains_key(&user)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Some of those whose time has come, and who may be tried.
    pub(super) fn due(&self, most: usize, may: impl Fn(UserId) -> bool) -> Vec<UserId> {
        let now = Instant::now();
        let due = self.0.iter().filter(|(_, retry)| !retry.on_its_way && retry.due <= now);
        due.map(|(user, _)| *user).filter(|user| may(*user)).take(most).collect()
    }

    /// When the next one's time comes.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.0.values().filter(|retry| !retry.on_its_way).map(|retry| retry.due).min()
    }
}
