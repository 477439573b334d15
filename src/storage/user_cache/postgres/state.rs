//! The entries, and how much of the log they are right as of.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::changed::{Changed, Moment};
use super::places::{Places, TooManyGaps};
use super::tail::{Tail, TailChange, TailEvent};
use super::ticket::Ticket;
use crate::domain::{EmailKey, Position, UserId};
use crate::metrics::{Flush, UserCacheMetrics};
use crate::storage::user_cache::entries::Entries;
use crate::storage::user_cache::entries::{Fill, LookupKey};

/// Stands for no place in [`Checked::highest`].
const UNKNOWN: i64 = -1;

/// What all clones of a cache share.
pub(super) struct State {
    pub(super) entries: Entries,
    log: Mutex<Log>,
    /// For readers that take no lock.
    checked: Checked,
    pub(super) metrics: UserCacheMetrics,
}

/// What readers need to know that ask nothing. It is written while the log is locked.
struct Checked {
    /// What `began` counts from.
    start: Instant,
    /// When the last statement began that has read all events that there were, in microseconds. 0 if there is none.
    began: AtomicU64,
    watermark: AtomicI64,
    /// No entry shows an event beyond it. [`UNKNOWN`] until the cache has read anything.
    highest: AtomicI64,
    is_refreshing: AtomicBool,
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
        let checked = Checked {
            start: Instant::now(),
            began: AtomicU64::new(0),
            watermark: AtomicI64::new(0),
            highest: AtomicI64::new(UNKNOWN),
            is_refreshing: AtomicBool::new(false),
        };
        Self { entries: Entries::new(bytes), log: Mutex::new(log), checked, metrics }
    }

    pub(super) fn ticket(&self) -> Option<Ticket> {
        let log = self.log.lock();
        let Read { server, places, salt, settled } = log.read.as_ref()?;
        Some(Ticket {
            began: Instant::now(),
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
        // Before the tail is taken in: a row is as of the snapshot that has shown these events, too. Of a tail that is cut,
        // it may show more events than those: then what comes next would put the entry back.
        let kept = fills.into_iter().filter(|fill| !tail.is_cut && log.keeps(fill, ticket.at));
        let kept = Vec::from_iter(kept);
        if self.read(&mut log, ticket, tail).is_err() {
            self.flush(&mut log, Flush::Behind);
            return false;
        }
        for fill in &kept {
            self.entries.fill(fill);
        }
        true
    }

    /// Takes in events, and then counts them as read.
    fn read(&self, log: &mut Log, ticket: &Ticket, tail: &Tail) -> Result<(), TooManyGaps> {
        let Log { read: Some(read), changed, .. } = log else { return Ok(()) };
        // First: a reader that asks nothing reads it after an entry, which must show no event beyond it.
        self.checked.reaches(tail.highest(ticket));
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
            self.checked.is_complete(ticket.began);
        }
        self.checked.has_read(read.places.watermark());
        Ok(())
    }

    /// How long ago all entries were right, if they show all events up to `at_least`. To be called before an entry is
    /// read.
    pub(super) fn age(&self, at_least: Option<Position>) -> Option<Duration> {
        let Checked { start, began, watermark, .. } = &self.checked;
        let began = Some(began.load(Ordering::Acquire)).filter(|began| *began > 0)?;
        let shows = at_least.is_none_or(|Position(at_least)| at_least <= watermark.load(Ordering::Acquire));
        shows.then(|| start.elapsed().saturating_sub(Duration::from_micros(began)))
    }

    /// No entry shows an event beyond this place. To be called after an entry is read. `None` if the cache has started
    /// over since.
    pub(super) fn highest(&self) -> Option<Position> {
        Some(self.checked.highest.load(Ordering::Acquire)).filter(|highest| *highest != UNKNOWN).map(Position)
    }

    /// Claims the refresh, if none is under way.
    pub(super) fn claim_refresh(&self) -> bool {
        self.checked.is_refreshing.compare_exchange(false, true, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    pub(super) fn end_refresh(&self) {
        self.checked.is_refreshing.store(false, Ordering::Release);
    }

    pub(super) fn written<'a>(&self, touched: impl IntoIterator<Item = (Option<UserId>, Option<&'a EmailKey>)>) {
        let mut log = self.log.lock();
        for (user, address) in touched {
            if let Some(user) = user {
                log.changed.user(user.get());
                self.entries.evict(user.get());
            }
            if let Some(address) = address {
                log.changed.address(address);
                self.entries.evict_address(address);
            }
        }
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
        self.checked.forget();
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

impl Checked {
    /// A statement that began then has read all events that there were.
    fn is_complete(&self, began: Instant) {
        let micros = began.saturating_duration_since(self.start).as_micros();
        self.began.fetch_max(u64::try_from(micros).unwrap_or(u64::MAX).max(1), Ordering::Release);
    }

    fn reaches(&self, Position(highest): Position) {
        self.highest.fetch_max(highest, Ordering::Release);
    }

    fn has_read(&self, watermark: i64) {
        self.watermark.store(watermark, Ordering::Release);
    }

    fn forget(&self) {
        self.began.store(0, Ordering::Release);
        self.watermark.store(0, Ordering::Release);
        // Another log may end earlier.
        self.highest.store(UNKNOWN, Ordering::Release);
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
