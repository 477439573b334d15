//! The entries, and the commit up to which they are right.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::wal_index::{Header, Unreadable, WalIndex};
use crate::domain::Position;
use crate::metrics::{Flush, UserCacheMetrics};
use crate::storage::user_cache::entries::{Entries, UserChange};

/// Stands for no commit in [`State::known`].
const NOTHING: u64 = 0;

/// Stands for no offset in [`State::end`], and for no number in [`State::count`].
const UNKNOWN: i64 = -1;

/// What all clones of a cache share.
pub(super) struct State {
    pub(super) entries: Entries,
    /// The commit up to which all entries are right: the checksum of the header.
    known: AtomicU64,
    /// The end of the log as of `known`. Every entry has come with it.
    end: AtomicI64,
    /// The number of users as of `known`, if somebody has counted them. In this it is like an entry.
    count: AtomicI64,
    index: WalIndex,
    /// Held to change the entries or `known`.
    changing: Mutex<()>,
    /// How many writers of this process are about to commit.
    writers: AtomicUsize,
    /// Set when the index has not shown a commit.
    is_untrue: AtomicBool,
    pub(super) metrics: UserCacheMetrics,
}

impl State {
    pub(super) fn new(bytes: u64, metrics: UserCacheMetrics) -> Self {
        Self {
            entries: Entries::new(bytes),
            known: AtomicU64::new(NOTHING),
            end: AtomicI64::new(UNKNOWN),
            count: AtomicI64::new(UNKNOWN),
            index: WalIndex::new(),
            changing: Mutex::new(()),
            writers: AtomicUsize::new(0),
            is_untrue: AtomicBool::new(false),
            metrics,
        }
    }

    /// The last commit, if the entries are right as of it.
    pub(super) fn last_commit(&self) -> Option<u64> {
        // First: the index may be opened anew in between, and `known` is set after that.
        let known = self.known.load(Ordering::Acquire);
        (known != NOTHING && self.index.checksum() == Some(known)).then_some(known)
    }

    /// The last commit. Starts over if the entries are not right as of it. `None` if it is not known, or if it is a
    /// commit of this process, which is about to be taken in.
    pub(super) fn catch_up(&self) -> Option<u64> {
        if !self.is_attached() || self.has_writers() {
            return None;
        }
        let _changing = self.changing.lock();
        if self.last_commit().is_none() && !self.has_writers() {
            self.start_over(Flush::Commit);
        }
        self.last_commit()
    }

    /// The end of the log, to be read after an entry: then the entry shows no event beyond it. `None` if all entries
    /// have gone since.
    pub(super) fn end(&self) -> Option<Position> {
        Some(self.end.load(Ordering::Acquire)).filter(|end| *end != UNKNOWN).map(Position)
    }

    /// The number of users, to be read after `known` was found to be the last commit.
    pub(super) fn count(&self) -> Option<i64> {
        Some(self.count.load(Ordering::Acquire)).filter(|count| *count != UNKNOWN)
    }

    /// Takes in the number of users as of the last commit. Under the mutex.
    pub(super) fn set_count(&self, count: i64) {
        self.count.store(count, Ordering::Release);
    }

    /// Changes the entries if this is still the last commit, as of which the log ends there.
    pub(super) fn if_unchanged(&self, known: u64, end: Position, change: impl FnOnce(&Entries)) {
        let _changing = self.changing.lock();
        if self.last_commit() == Some(known) {
            self.end.store(end.0, Ordering::Release);
            change(&self.entries);
        }
    }

    /// A writer of this process is about to commit. Returns the header before that.
    pub(super) fn begin_commit(&self) -> Option<Header> {
        let before = self.index.header()?;
        self.writers.fetch_add(1, Ordering::SeqCst);
        Some(before)
    }

    /// Takes in the changes of a commit of this process, which has written something.
    pub(super) fn take_in<'a>(
        &self,
        before: Header,
        changes: impl IntoIterator<Item = UserChange<'a>>,
        end: Option<Position>,
    ) {
        let _changing = self.changing.lock();
        let after = self.index.header();
        if after == Some(before) {
            self.turn_off();
        }
        let is_next = |after: &Header| after.commits == before.commits.wrapping_add(1);
        match after.filter(is_next) {
            Some(after) if self.known.load(Ordering::Relaxed) == before.checksum => {
                if let Some(end) = end {
                    self.end.store(end.0, Ordering::Release);
                }
                let mut more = 0;
                for change in changes {
                    more += change.of_count();
                    self.entries.apply(&change);
                }
                if let Some(count) = self.count() {
                    self.set_count(count + more);
                }
                self.known.store(after.checksum, Ordering::Release);
            }
            _ => self.start_over(Flush::Commit),
        }
    }

    /// A writer of this process has committed, or will not.
    pub(super) fn end_commit(&self) {
        self.writers.fetch_sub(1, Ordering::SeqCst);
    }

    pub(super) fn attach(&self, wal_index: &Path) -> Result<(), Unreadable> {
        let _changing = self.changing.lock();
        if self.is_untrue.load(Ordering::Relaxed) {
            return Err(Unreadable::Untrue);
        }
        self.index.open(wal_index)?;
        self.start_over(Flush::Files);
        Ok(())
    }

    pub(super) fn detach(&self) {
        let _changing = self.changing.lock();
        self.forget();
    }

    pub(super) fn is_attached(&self) -> bool {
        self.index.is_open()
    }

    fn has_writers(&self) -> bool {
        self.writers.load(Ordering::SeqCst) > 0
    }

    /// Drops all entries, and begins with the last commit. Under the mutex.
    fn start_over(&self, reason: Flush) {
        if self.entries.count() > 0 {
            self.metrics.flushed(reason);
        }
        // Last: an entry that is still there must not be taken for right.
        self.entries.clear();
        self.end.store(UNKNOWN, Ordering::Release);
        self.count.store(UNKNOWN, Ordering::Release);
        self.known.store(self.index.checksum().unwrap_or(NOTHING), Ordering::Release);
    }

    fn forget(&self) {
        self.known.store(NOTHING, Ordering::SeqCst);
        self.index.forget();
        self.start_over(Flush::Files);
    }

    /// The index is not the one that SQLite uses, or cannot be read while SQLite writes it.
    fn turn_off(&self) {
        self.is_untrue.store(true, Ordering::Relaxed);
        self.forget();
        log::error!("the user cache is off: -shm has not shown a commit of this process");
    }
}
