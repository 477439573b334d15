//! The user cache on PostgreSQL, where the log of events says what has changed.
//!
//! A batch of look-ups sends one statement. It reads the events that the cache has not read yet, and the users that are
//! not in memory. Most of the time there are neither, and the answer is two short rows. Then all look-ups of the batch
//! are answered as of the moment at which the statement read.
//!
//! The cache has read all places of the log up to `highest`, except its **gaps**: places that were empty when they were
//! read, and that a transaction may still fill. The statement reads both, what is beyond `highest` and what fills a gap.
//! So nothing waits for a gap.
//!
//! **The invariant**: every entry is right as of all events that the cache has read, or of later ones.
//!
//! **What follows**: an answer is never stale. A ticket holds what the cache had read when the batch was claimed. An
//! entry that is found after that is right as of these events, or of later ones that were committed before the statement
//! was sent. The statement's snapshot shows all events that are committed and were not read by then. If none is about
//! the entry, the entry is what the database would say at that snapshot, which lies between the request and its answer.
//! Otherwise the event says what the entry is now, or the look-up is made again.
//!
//! **Why it holds.**
//!
//! 1. *Reading events*: what an event is about is replaced by what it says, or evicted, before the event counts as read.
//!    It is replaced only if the writer of the event knew all columns that this release knows, and if the event lies
//!    beyond all that were read: one that fills a gap may be older than the entry. Events of one user stand in the order
//!    of its versions.
//! 2. *Filling*: a row is as of the statement's snapshot. It is kept only if no event of its user or address was read by
//!    another batch since the ticket was made (`changed`). A late row cannot hide a newer event.
//! 3. *A gap is dropped* only if no transaction can fill it any more. The keeper lists the transactions that write
//!    events. Once all of them have ended, every place below the highest one of that moment is filled or will never be;
//!    a statement that is sent after that reads those that are filled, and then the gaps that are left are dropped.
//!    `pg_locks` is no snapshot, so it never settles anything for a statement that was sent before.
//! 4. *Starting over*: all entries go. Without entries the invariant is true of any log. The keeper finds a place to
//!    start at, in the same way as it settles a gap.
//!
//! A write of this process is no exception: its event is read like any other. The write itself, also one that was refused,
//! evicts what it is about before its caller is answered: for the caller's next read, which may be one of those below.
//!
//! **Reads that may be stale** (`MAX_STALENESS`) ask nothing. Every entry is right as of all events that were read. The
//! last statement that has read all there were began at a known moment (`checked`). It has seen whatever was committed
//! before that, so an entry is no older. No entry shows an event beyond `highest`: rows are kept only of a statement that
//! has read all events.
//!
//! **Changes without events**: a trigger leaves a mark in the log for each statement that changes users and records no
//! events, such as an operator's. It is an event without a user's data, and drops all entries.
//!
//! **The log is the one that was read** as long as the server has not been started anew since, and the event at
//! `highest` has the same salt. Both are part of the statement. A server that takes over has another start; a log that
//! was restored has another salt.

mod changed;
mod places;
mod state;
mod tail;
mod ticket;

use std::sync::Arc;
use std::time::Duration;

use super::entries::{Entries, Fill, Known, LookupKey};
use crate::domain::{AsOf, EmailKey, Freshness, UserId};
use crate::metrics::{Flush, UserCacheMetrics};
use state::State;

pub(crate) use state::Settled;
pub(crate) use tail::{Changed, Tail, TailChange, TailEvent};
pub(crate) use ticket::Ticket;

/// How old answers that ask nothing get, while somebody reads, before the log is read again. Otherwise reads at the end of
/// the bound would wait for it, and would find more events than they can follow.
const REFRESH: Duration = Duration::from_millis(100);

/// The users in memory. Clones share them.
#[derive(Clone)]
pub(crate) struct PostgresCache {
    state: Arc<State>,
    max_staleness: Duration,
}

impl PostgresCache {
    /// A cache of at most so many bytes, which has read nothing yet and so knows nothing. Reads that ask nothing may be as
    /// old as `max_staleness`. `None` if the bound in bytes is 0.
    pub(crate) fn new(bytes: u64, max_staleness: Duration, metrics: UserCacheMetrics) -> Option<Self> {
        let state = (bytes > 0).then(|| Arc::new(State::new(bytes, metrics)))?;
        Some(Self { state, max_staleness })
    }

    /// The user, if what is in memory is fresh enough. Asks nothing.
    pub(crate) fn recent(&self, key: LookupKey<'_>, freshness: &Freshness) -> Option<Recent> {
        let max_staleness = freshness.max_staleness(self.max_staleness);
        if max_staleness.is_zero() {
            return None;
        }
        let age = self.state.age(freshness.at_least).filter(|age| *age <= max_staleness)?;
        let value = self.get(key)?;
        // Last: an entry may be newer than the last check.
        let position = self.state.highest()?;
        self.state.metrics.looked_up_stale(age);
        let is_due = age > REFRESH.min(self.max_staleness / 2);
        let refresh = (is_due && self.state.claim_refresh()).then(|| Refresh(Arc::clone(&self.state)));
        Some(Recent { found: AsOf { value, position, age: Some(age) }, refresh })
    }

    /// What the cache has read by now. To be called before entries are read, and before the statement is sent. `None`
    /// if the cache is about to start.
    pub(crate) fn ticket(&self) -> Option<Ticket> {
        self.state.ticket()
    }

    /// The user, if it is known whether there is one.
    pub(crate) fn get(&self, key: LookupKey<'_>) -> Option<Known> {
        self.state.entries.look_up(key)
    }

    /// Takes in what a statement has read. Returns false if the cache has started over since the ticket was made. Then
    /// nothing was taken in, and entries that were found may be those of another log.
    pub(crate) fn take_in<'a>(&self, ticket: &Ticket, tail: &Tail, fills: impl IntoIterator<Item = Fill<'a>>) -> bool {
        self.state.take_in(ticket, tail, fills)
    }

    /// Writes of this process, made or refused, are about these users and addresses. Where reads ask nothing, their
    /// entries go: what a caller has learned of them, its next read must show.
    pub(crate) fn written<'a>(&self, touched: impl IntoIterator<Item = (Option<UserId>, Option<&'a EmailKey>)>) {
        if !self.max_staleness.is_zero() {
            self.state.written(touched);
        }
    }

    /// Drops all entries, unless that has happened since the ticket was made.
    pub(crate) fn start_over(&self, ticket: &Ticket, reason: Flush) {
        self.state.start_over(ticket, reason);
    }

    /// Drops all entries, because more has changed than the cache can follow.
    pub(crate) fn fall_behind(&self, ticket: &Ticket) {
        self.state.start_over(ticket, Flush::Behind);
    }

    /// Counts look-ups, by whether they were answered from memory.
    pub(crate) fn looked_up(&self, hits: usize, misses: usize) {
        self.state.metrics.looked_up_together(hits, misses);
    }

    /// How many gaps of the log may still be filled.
    pub(super) fn gaps(&self) -> usize {
        self.state.gaps()
    }

    /// Whether there is anything to settle: a gap, or the start.
    pub(crate) fn needs_settling(&self) -> bool {
        self.state.needs_settling()
    }

    /// No place below this one can be filled any more. Starts the cache there, or lets the next statement drop gaps.
    pub(crate) fn settle(&self, settled: &Settled) {
        self.state.settle(settled);
    }

    pub(super) fn entries(&self) -> &Entries {
        &self.state.entries
    }
}

/// A user that was in memory and fresh enough.
pub(crate) struct Recent {
    pub(crate) found: AsOf<Known>,
    /// If it is time to read the log again: the one caller who has this does so, off the way of its answer.
    pub(crate) refresh: Option<Refresh>,
}

/// The right to refresh, until it is dropped.
pub(crate) struct Refresh(Arc<State>);

impl Drop for Refresh {
    fn drop(&mut self) {
        self.0.end_refresh();
    }
}

#[cfg(test)]
mod tests;
