//! Indexes of attributes, for lists that are filtered by them: one for each name in `ATTRIBUTES_INDEXED`.
//!
//! On PostgreSQL each is an index by an expression, built concurrently (`builder`). On SQLite, where building one would keep
//! all writers waiting, it is a part of the table `user_attributes`, which triggers keep up to date and the keeper fills
//! with the users from before, some at a time. Neither is ever dropped but by a command: replicas with different settings
//! would drop and build in turns.
//!
//! The database itself says which indexes are complete, and the keeper asks it once a second. A filter is refused until
//! then, and as soon as an index is gone: without one, the database would read all users.

pub(crate) mod builder;
pub(crate) mod commands;
pub(crate) mod filter;
mod postgres;
mod sqlite;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use diesel::QueryResult;

use crate::domain::{AttributeFilter, AttributeName, Error};
use crate::storage::database::connection::Connection;

/// The indexes that the configuration names, as the keeper saw them last. Clones share that.
#[derive(Clone)]
pub(crate) struct AttributeIndexes(Arc<[Index]>);

struct Index {
    name: AttributeName,
    progress: AtomicU8,
}

/// How far an index is, in per cent. The last one means that it can be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexProgress(u8);

impl IndexProgress {
    pub(crate) const COMPLETE: Self = Self(100);

    /// An index that is not complete, of which so much of `all` is done.
    fn part(done: i64, all: i64) -> Self {
        let percent = done.saturating_mul(100).checked_div(all).unwrap_or_default();
        Self(u8::try_from(percent.clamp(0, 99)).unwrap_or_default())
    }

    /// The per cent, from 0 to 100.
    #[must_use]
    pub const fn percent(self) -> u8 {
        self.0
    }

    /// Whether the index can be used.
    #[must_use]
    pub fn is_complete(self) -> bool {
        self == Self::COMPLETE
    }
}

impl AttributeIndexes {
    pub(crate) fn new(names: &[AttributeName]) -> Self {
        let index = |name: &AttributeName| Index { name: name.clone(), progress: AtomicU8::default() };
        Self(names.iter().map(index).collect())
    }

    /// Each index, and how far it is.
    pub(crate) fn progress(&self) -> impl Iterator<Item = (&AttributeName, IndexProgress)> {
        self.0.iter().map(|index| (&index.name, IndexProgress(index.progress.load(Ordering::Relaxed))))
    }

    pub(crate) fn are_complete(&self) -> bool {
        self.progress().all(|(_, progress)| progress.is_complete())
    }

    /// Refuses filters whose index is not complete.
    pub(crate) fn require(&self, filters: &[AttributeFilter]) -> Result<(), Error> {
        let is_complete = |filter: &AttributeFilter| {
            self.progress().any(|(name, progress)| *name == filter.name && progress.is_complete())
        };
        if filters.iter().all(is_complete) { Ok(()) } else { Err(Error::IndexNotReady) }
    }

    /// Asks the database how far the indexes are. If this service makes them, it does so until then on SQLite.
    pub(crate) fn check(&self, connection: &mut Connection, fill_until: Option<Instant>) -> QueryResult<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        match connection {
            Connection::Postgres(postgres, _) => {
                let states = postgres::states(postgres)?;
                for index in &*self.0 {
                    index.set(states.of(&index.name));
                }
            }
            Connection::Sqlite(..) => {
                for index in &*self.0 {
                    let mut progress = sqlite::progress(connection, &index.name)?;
                    while !progress.is_complete() && fill_until.is_some_and(|until| Instant::now() < until) {
                        progress = sqlite::go_on(connection, &index.name)?;
                    }
                    index.set(progress);
                }
            }
        }
        Ok(())
    }
}

impl Index {
    fn set(&self, progress: IndexProgress) {
        let before = IndexProgress(self.progress.swap(progress.0, Ordering::Relaxed));
        if progress.is_complete() && !before.is_complete() {
            log::info!("lists can be filtered by the attribute {}", self.name);
        } else if before.is_complete() && !progress.is_complete() {
            log::warn!("the index of the attribute {} is gone: lists cannot be filtered by it", self.name);
        } else if progress.0 / 10 > before.0 / 10 {
            log::info!("the index of the attribute {} is made, {} % so far", self.name, progress.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_never_the_whole() {
        let percent = |done, all| IndexProgress::part(done, all).percent();
        assert_eq!([percent(0, 0), percent(5, 0), percent(1, 3), percent(3, 3), percent(9, 3)], [0, 0, 33, 99, 99]);
        assert_eq!(percent(i64::MAX, i64::MAX), 1, "what overflows is a part, too");
    }

    #[test]
    fn a_filter_needs_its_own_index() {
        let names = ["a", "b"].map(|name| AttributeName::parse(name).unwrap());
        let filters = |name: &str| AttributeFilter::parse_all([(name.to_owned(), String::new())], &names).unwrap();
        let indexes = AttributeIndexes::new(&names);
        assert_eq!(indexes.require(&[]), Ok(()));
        assert_eq!(indexes.require(&filters("a")), Err(Error::IndexNotReady));
        indexes.0[0].set(IndexProgress::COMPLETE);
        assert_eq!(indexes.require(&filters("a")), Ok(()));
        assert_eq!(indexes.require(&filters("b")), Err(Error::IndexNotReady));
        assert!(!indexes.are_complete());
    }
}
