//! The user cache: users that were read lately, in memory, never staler than `MAX_STALENESS` allows, by default not at all. See docs/decisions/0016-user-cache.md.
//!
//! What is kept is the same on both databases (`entries`): users by their ids, ids by addresses, and that there is no
//! such user. How a change by another process is noticed is not: [`sqlite`] reads the header of the WAL index,
//! [`postgres`] reads the log of events.

mod entries;
mod postgres;
mod sqlite;

pub(crate) use entries::{Fill, LookupKey};
pub(crate) use postgres::{Changed, PostgresCache, Recent, Refresh, Settled, Tail, TailChange, TailEvent, Ticket};
pub(crate) use sqlite::{Cached, Counted, OwnCommit, SqliteCache, Unreadable, UserChange};

/// The users in memory. Clones share them.
#[derive(Clone)]
pub(crate) enum UserCache {
    Sqlite(SqliteCache),
    Postgres(PostgresCache),
}

impl UserCache {
    /// How many entries there are.
    pub(crate) fn count(&self) -> usize {
        self.entries().count()
    }

    /// About how much memory they take.
    pub(crate) fn bytes(&self) -> u64 {
        self.entries().bytes()
    }

    /// How many gaps of the log may still be filled. On SQLite there is none.
    pub(crate) fn gaps(&self) -> usize {
        match self {
            Self::Sqlite(_) => 0,
            Self::Postgres(cache) => cache.gaps(),
        }
    }

    fn entries(&self) -> &entries::Entries {
        match self {
            Self::Sqlite(cache) => cache.entries(),
            Self::Postgres(cache) => cache.entries(),
        }
    }
}
