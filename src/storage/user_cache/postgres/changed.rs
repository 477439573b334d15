//! When users and addresses were last evicted, so that a late row does not hide a newer change.
//!
//! Not a list of the last changes, which would have to reach back to the oldest statement that is under way. Users and
//! addresses share slots by their hashes. A row that shares its slot with what has just changed is not kept this time.

use std::hash::{BuildHasher as _, Hash, RandomState};

use crate::domain::EmailKey;

/// Slots for users, and as many for addresses.
const SLOTS: usize = 4096;

/// A moment: how many changes there had been.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(u64);

/// When something was last evicted.
pub(super) struct Changed {
    now: Moment,
    /// When everything was evicted.
    all: Moment,
    users: Slots,
    addresses: Slots,
}

impl Changed {
    pub(super) fn new() -> Self {
        let (now, all) = (Moment::default(), Moment::default());
        Self { now, all, users: Slots::new(), addresses: Slots::new() }
    }

    pub(super) const fn now(&self) -> Moment {
        self.now
    }

    pub(super) fn user(&mut self, id: i64) {
        let now = self.next();
        self.users.set(id, now);
    }

    pub(super) fn address(&mut self, key: &EmailKey) {
        let now = self.next();
        self.addresses.set(key.as_str(), now);
    }

    pub(super) fn all(&mut self) {
        self.all = self.next();
    }

    /// Whether the user has not been evicted since.
    pub(super) fn keeps_user(&self, id: i64, since: Moment) -> bool {
        self.all <= since && self.users.last(id) <= Some(since)
    }

    /// Whether the address has not been evicted since.
    pub(super) fn keeps_address(&self, key: &EmailKey, since: Moment) -> bool {
        self.all <= since && self.addresses.last(key.as_str()) <= Some(since)
    }

    const fn next(&mut self) -> Moment {
        self.now.0 += 1;
        self.now
    }
}

/// The last moment of each slot.
struct Slots {
    last: Box<[Moment]>,
    hasher: RandomState,
}

impl Slots {
    fn new() -> Self {
        Self { last: vec![Moment::default(); SLOTS].into_boxed_slice(), hasher: RandomState::new() }
    }

    fn set(&mut self, key: impl Hash, now: Moment) {
        let slot = self.slot(key);
        if let Some(last) = self.last.get_mut(slot) {
            *last = now;
        }
    }

    fn last(&self, key: impl Hash) -> Option<Moment> {
        self.last.get(self.slot(key)).copied()
    }

    #[expect(clippy::cast_possible_truncation, reason = "the remainder is far below any usize")]
    fn slot(&self, key: impl Hash) -> usize {
        (self.hasher.hash_one(key) % SLOTS as u64) as usize
    }
}
