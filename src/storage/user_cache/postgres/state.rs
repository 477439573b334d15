//! The entries, and how much of the log they are right as of.

use parking_lot::Mutex;

use super::changed::{Changed, Moment};
use super::lookup_key::{Fill, LookupKey};
use super::places::{Places, TooManyGaps};
use super::tail::{Tail, TailChange, TailEvent};
use super::ticket::Ticket;
use crate::metrics::{Flush, UserCacheMetrics};
use crate::storage::user_cache::entries::Entries;

/// What all clones of a cache share.
pub(super) struct State {
    pub(super) entries: Entries,
    log: Mutex<Log>,
    pub(super) metrics: UserCacheMetrics,
}

/// Held to change the entries, and to read or change what was read of the log.
struct Log {
    /// Rises when the cache starts over.
    epoch: u64,
    /// `None` until the keeper has found a place to start at.
    read: Option<Read>,
    changed: Changed,
}

/// What was read of the log.
struct Read {
    /// When the server was started.
    server: i64,
    places: Places,
    /// The salt of the event at the highest place. `None` if it was pruned before the cache started.
    salt: Option<i64>,
    /// Below this place, a statement that is yet to be sent reads everything.
    settled: i64,
}

/// What the keeper has found: all transactions have ended that were able to fill a place below this one.
pub(crate) struct Settled {
    pub(crate) server: i64,
    pub(crate) place: i64,
    /// The salt of the event there. `None` if there is none.
    pub(crate) salt: Option<i64>,
    pub(crate) pruned_to: i64,
}

impl State {
    pub(super) fn new(bytes: u64, metrics: UserCacheMetrics) -> Self {
        let log = Log { epoch: 0, read: None, changed: Changed::new() };
        Self { entries: Entries::new(bytes), log: Mutex::new(log), metrics }
    }

    pub(super) fn ticket(&self) -> Option<Ticket> {
        let log = self.log.lock();
        let Read { server, places, salt, settled } = log.read.as_ref()?;
        Some(Ticket {
            epoch: log.epoch,
            at: log.changed.now(),
            server: *server,
            salt: *salt,
            places: places.clone(),
            settled: *settled,
        })
    }

    pub(super) fn take_in<'a>(&self, ticket: &Ticket, tail: &Tail, fills: impl IntoIterator<Item = Fill<'a>>) -> bool {
        self.metrics.checked();
        let mut log = self.log.lock();
        if log.epoch != ticket.epoch {
            return false;
        }
        // Before the tail is taken in: a row is as of the snapshot that has shown these events, too.
        let kept = Vec::from_iter(fills.into_iter().filter(|fill| log.keeps(fill, ticket.at)));
        if self.read(&mut log, ticket, tail).is_err() {
            self.flush(&mut log, Flush::Behind);
            return false;
        }
        for fill in &kept {
            self.fill(fill);
        }
        true
    }

    /// Takes in events, and then counts them as read.
    fn read(&self, log: &mut Log, ticket: &Ticket, tail: &Tail) -> Result<(), TooManyGaps> {
        let Log { read: Some(read), changed, .. } = log else { return Ok(()) };
        for event in &tail.events {
            let is_next = event.place > read.places.highest();
            if read.places.add(event.place)? {
                self.follow(changed, event, is_next);
            }
            if is_next {
                read.salt = Some(event.salt);
            }
        }
        if !tail.is_cut {
            read.places.settle(ticket.settled);
        }
        Ok(())
    }

    /// Takes in what an event says. An event that fills a gap may be older than the entry, which goes.
    fn follow(&self, changed: &mut Changed, event: &TailEvent, is_next: bool) {
        changed.user(event.user);
        match &event.change {
            TailChange::Stored(user, key) => {
                changed.address(key);
                if is_next {
                    self.entries.follow(user, key);
                    return;
                }
                self.entries.evict_address(key);
            }
            TailChange::Partly(key) => {
                changed.address(key);
                self.entries.evict_address(key);
            }
            TailChange::Deleted => {}
            TailChange::Anything => {
                changed.all();
                self.drop_entries(Flush::Mark);
            }
        }
        self.entries.evict(event.user);
    }

    fn fill(&self, fill: &Fill<'_>) {
        match fill.key {
            LookupKey::Id(id) => self.entries.insert(id, fill.user),
            LookupKey::Address(key) => self.entries.insert_found(key, fill.user),
        }
    }

    pub(super) fn start_over(&self, ticket: &Ticket, reason: Flush) {
        let mut log = self.log.lock();
        if log.epoch == ticket.epoch {
            self.flush(&mut log, reason);
        }
    }

    fn flush(&self, log: &mut Log, reason: Flush) {
        log.epoch += 1;
        log.read = None;
        log.changed.all();
        self.drop_entries(reason);
    }

    fn drop_entries(&self, reason: Flush) {
        if self.entries.count() > 0 {
            self.metrics.flushed(reason);
        }
        self.entries.clear();
    }

    pub(super) fn gaps(&self) -> usize {
        self.log.lock().read.as_ref().map_or(0, |read| read.places.gaps().len())
    }

    pub(super) fn needs_settling(&self) -> bool {
        self.log.lock().read.as_ref().is_none_or(|read| !read.places.gaps().is_empty())
    }

    pub(super) fn settle(&self, &Settled { server, place, salt, pruned_to }: &Settled) {
        let mut log = self.log.lock();
        if let Some(read) = &mut log.read {
            if read.server == server {
                read.settled = read.settled.max(place);
            }
        } else if salt.is_some() || pruned_to == place {
            log.read = Some(Read { server, places: Places::up_to(place), salt, settled: place });
        }
    }
}

impl Log {
    fn keeps(&self, fill: &Fill<'_>, since: Moment) -> bool {
        match fill.key {
            LookupKey::Id(id) => self.changed.keeps_user(id.get(), since),
            LookupKey::Address(key) => {
                self.changed.keeps_address(key, since)
                    && fill.user.is_none_or(|user| self.changed.keeps_user(user.id.get(), since))
            }
        }
    }
}
