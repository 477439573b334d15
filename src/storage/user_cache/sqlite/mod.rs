//! The user cache on SQLite, where a read from memory needs no database at all.
//!
//! A request that finds its user here is answered where it is, on the thread that serves HTTP, without a message to an
//! actor. It costs one `pread` of eight bytes, which shows that nobody, of whatever process, has committed in between.
//!
//! **Known** is the commit up to which the cache is right: the checksum of the header of SQLite's WAL index
//! (`wal_index`). It is 0 while there is none. One mutex guards every change of the entries and of `known`; reading
//! takes no lock.
//!
//! **The invariant**: every entry is right as of `known`, or of a later commit that has finished.
//!
//! **What follows**: an answer from the cache is never stale. It is given only if the header was found to be `known`
//! after the request came, and then an entry is read. In that moment `known` was the last commit. Whatever had been
//! acknowledged before is part of it, because a commit changes the header before it returns. If the entry is newer, its
//! commit has finished while the request was under way. An answer is one entry: an address leads to an id, but the
//! user's own entry says whether it has that address. And no later answer is older: a later reader finds the header
//! changed, and reads the database, or finds a later `known`.
//!
//! **Why it holds.** There are four ways to change the entries or `known`:
//!
//! 1. *Starting over*, when the header is not `known`: all entries go, and then `known` becomes the header. Without
//!    entries the invariant is true of any commit.
//! 2. *Filling*: a ticket is made before the look-up is sent, while the header was `known`. The answer is taken in only
//!    if both are still the same, under the mutex. The header does not return to what it was, because each commit counts
//!    it up. So no commit has finished in between, and the snapshot that the answer came from is that of `known`. A late
//!    answer cannot overwrite a newer entry.
//! 3. *A commit of this process*: the header is read inside `BEGIN IMMEDIATE`, when nobody else can commit, and again
//!    after `COMMIT`, under the mutex. The count of commits tells whether it is ours: if it has risen by one, ours was
//!    the only one, as ours has written something. (A batch that changed nothing is rolled back.) If the entries were
//!    right as of the first header, they are made right as of the second by the changes of our commit. Only then does
//!    `known` become the second, and only then are the callers answered. Otherwise we start over.
//! 4. *Eviction* of an entry, which makes no other entry wrong.
//!
//! While a commit of this process is under way, readers that find another header do not start over: the commit is about
//! to be taken in. They read the database. If the commit fails, panics or has an unknown outcome, nothing is taken in;
//! if it was committed after all, the header shows it, and the next reader starts over.
//!
//! Other writers of this process either say that they change no user, as the relay and the pruning of events do, or
//! count as another process.
//!
//! **The header can be trusted** as long as SQLite uses the file that was opened. SQLite deletes it when the last
//! connection of all processes closes, so one more connection is kept open as long as the file is read
//! (`database/pool/cache_files.rs`). When SQLite's files are replaced, `known` becomes 0 before that connection is
//! closed. If a commit of this process does not show, the cache is turned off.

mod own_commit;
mod state;
mod wal_index;

use std::path::Path;
use std::sync::Arc;

use super::entries::{Entries, Fill, Known, LookupKey};
use crate::domain::{AsOf, Position};
use crate::metrics::UserCacheMetrics;
use state::State;

pub(crate) use super::entries::UserChange;
pub(crate) use own_commit::OwnCommit;
pub(crate) use wal_index::Unreadable;

/// The users in memory. Clones share them.
#[derive(Clone)]
pub(crate) struct SqliteCache(Arc<State>);

/// What the cache knows about a user.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Cached {
    /// This user, or that there is none.
    Known(AsOf<Known>),
    /// Nothing. With a ticket, the database's answer may be taken in.
    Unknown(Option<Ticket>),
}

/// What the cache knows about the number of users.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    Known(i64),
    /// Nothing. With a ticket, the database's answer may be taken in.
    Unknown(Option<Ticket>),
}

/// The commit that was the last one when a look-up began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

impl SqliteCache {
    /// A cache of at most so many bytes, which sees no commits yet and so knows nothing. `None` if the bound is 0.
    pub(crate) fn new(bytes: u64, metrics: UserCacheMetrics) -> Option<Self> {
        (bytes > 0).then(|| Self(Arc::new(State::new(bytes, metrics))))
    }

    /// Looks up a user.
    pub(crate) fn get(&self, key: LookupKey<'_>) -> Cached {
        let last = self.0.last_commit();
        let found = last.and_then(|_| {
            let (value, position) = (self.0.entries.look_up(key)?, self.0.end()?);
            Some(AsOf::latest(value, position))
        });
        self.0.metrics.looked_up(found.is_some());
        match found {
            Some(found) => Cached::Known(found),
            None => Cached::Unknown(last.or_else(|| self.0.catch_up()).map(Ticket)),
        }
    }

    /// Takes in the database's answer, unless something was committed since the ticket was made.
    pub(crate) fn fill(&self, Ticket(known): Ticket, key: LookupKey<'_>, found: &AsOf<Known>) {
        let fill = Fill { key, user: found.value.as_ref() };
        self.0.if_unchanged(known, found.position, |entries| entries.fill(&fill));
    }

    /// Looks up the number of users.
    pub(crate) fn count(&self) -> Counted {
        let last = self.0.last_commit();
        match last.and_then(|_| self.0.count()) {
            Some(count) => Counted::Known(count),
            None => Counted::Unknown(last.or_else(|| self.0.catch_up()).map(Ticket)),
        }
    }

    /// Takes in the number of users that the database has counted, unless something was committed since the ticket was made.
    pub(crate) fn fill_count(&self, Ticket(known): Ticket, count: i64, end: Position) {
        self.0.if_unchanged(known, end, |_| self.0.set_count(count));
    }

    /// Begins a commit of this process. To be called inside `BEGIN IMMEDIATE`. `None` if the cache sees no commits.
    pub(crate) fn begin_commit(&self) -> Option<OwnCommit> {
        OwnCommit::begin(&self.0)
    }

    /// Lets the cache see commits in this WAL index, which must be that of an open connection.
    ///
    /// # Errors
    /// Why the index cannot be read.
    pub(crate) fn attach(&self, wal_index: &Path) -> Result<(), Unreadable> {
        self.0.attach(wal_index)
    }

    /// Forgets everything, also where commits are seen.
    pub(crate) fn detach(&self) {
        self.0.detach();
    }

    pub(super) fn entries(&self) -> &Entries {
        &self.0.entries
    }
}

#[cfg(test)]
mod tests;
