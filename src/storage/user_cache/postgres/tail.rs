//! What a statement has read of the log.

use std::collections::{HashMap, HashSet};

use super::ticket::Ticket;
use crate::domain::{Email, EmailKey, Position, User};
use crate::metrics::Flush;
use crate::storage::user_cache::entries::Known;
use crate::storage::user_cache::entries::LookupKey;

/// What a statement has read of the log, as of its snapshot.
#[derive(Default)]
pub(crate) struct Tail {
    /// When the server was started.
    pub(crate) server: i64,
    /// All events up to here are pruned.
    pub(crate) pruned_to: i64,
    /// The salt of the event at the highest place of the ticket. `None` if there is no event.
    pub(crate) salt: Option<i64>,
    /// The events beyond the highest place of the ticket, and those in its gaps, in the order of their places.
    pub(crate) events: Vec<TailEvent>,
    /// Whether there may be more of them.
    pub(crate) is_cut: bool,
}

/// An event, as far as the cache needs it.
pub(crate) struct TailEvent {
    pub(crate) place: i64,
    pub(crate) salt: i64,
    pub(crate) user: i64,
    pub(crate) change: TailChange,
}

/// What an event says.
pub(crate) enum TailChange {
    /// The user as it was then, with the key of its address.
    Stored(User, EmailKey),
    /// The writer did not know all columns. The user had an address with this key.
    Partly(EmailKey),
    Deleted,
    /// A mark, an event that an operator has blanked, or one of a later release: any user may have changed.
    Anything,
}

impl TailChange {
    pub(crate) fn stored(user: User) -> Self {
        let key = user.email.key();
        Self::Stored(user, key)
    }

    pub(crate) fn partly(email: Option<String>) -> Self {
        email.map_or(Self::Anything, |email| Self::Partly(Email::stored(email).key()))
    }
}

/// What the events of a tail say about an answer that was found in memory.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    No,
    /// This is the answer now.
    To(Known),
    /// The database has to be asked.
    Perhaps,
}

/// What the events of a tail have changed.
#[derive(Default)]
pub(crate) struct TailChanges {
    everything: bool,
    /// By their ids, users as the last event has them. `None` if it does not say.
    users: HashMap<i64, Option<Known>>,
    addresses: HashSet<String>,
}

impl Tail {
    /// The highest place at which the log has an event.
    pub(crate) fn highest(&self, ticket: &Ticket) -> Position {
        Position(self.events.last().map_or(ticket.highest(), |last| last.place.max(ticket.highest())))
    }

    /// What has changed since the ticket was made.
    ///
    /// # Errors
    /// Why what the ticket holds does not count in this log.
    pub(crate) fn changes_since(&self, ticket: &Ticket) -> Result<TailChanges, Flush> {
        let last_is_pruned = self.salt.is_none() && self.pruned_to >= ticket.highest();
        if self.server != ticket.server || (self.salt != ticket.salt && !last_is_pruned) {
            return Err(Flush::Log);
        }
        if self.salt != ticket.salt || self.pruned_to > ticket.watermark() {
            return Err(Flush::Retention);
        }
        let mut changes = TailChanges::default();
        for event in &self.events {
            changes.add(event, event.place > ticket.highest());
        }
        Ok(changes)
    }
}

impl TailChanges {
    /// What was in memory may be newer than an event that fills a gap.
    fn add(&mut self, event: &TailEvent, is_next: bool) {
        let now = match &event.change {
            TailChange::Stored(user, key) => {
                self.addresses.insert(key.as_str().to_owned());
                Some(Some(user.clone()))
            }
            TailChange::Partly(key) => {
                self.addresses.insert(key.as_str().to_owned());
                None
            }
            TailChange::Deleted => Some(None),
            TailChange::Anything => {
                self.everything = true;
                None
            }
        };
        self.users.insert(event.user, now.filter(|_| is_next));
    }

    /// Whether this answer is another one now.
    pub(crate) fn of(&self, key: LookupKey<'_>, known: &Known) -> Changed {
        if self.everything {
            return Changed::Perhaps;
        }
        match key {
            LookupKey::Id(id) => match self.users.get(&id.get()) {
                None => Changed::No,
                Some(Some(now)) => Changed::To(now.clone()),
                Some(None) => Changed::Perhaps,
            },
            LookupKey::Address(key) => {
                let is_touched = |user: &User| self.users.contains_key(&user.id.get());
                let is_touched = self.addresses.contains(key.as_str()) || known.as_ref().is_some_and(is_touched);
                if is_touched { Changed::Perhaps } else { Changed::No }
            }
        }
    }
}
