//! What ties the user cache to the files of a SQLite database.
//!
//! The cache reads `-shm` to see commits. SQLite deletes that file when the last connection of all processes closes, and
//! makes another one later, in which the cache would miss all commits. So one connection, on which nothing runs, is kept
//! open as long as the cache reads the file. It counts as one of those that must close before the files are opened anew.

use std::path::Path;
use std::sync::Arc;

use diesel::connection::SimpleConnection as _;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel::sqlite::SqliteConnection;
use diesel::{ConnectionError, ConnectionResult};
use parking_lot::Mutex;

use crate::storage::database::connection::Connection;
use crate::storage::user_cache::{SqliteCache, Unreadable};

/// The user cache of one database, and the connection that keeps `-shm` in use.
pub(super) struct CacheFiles {
    cache: SqliteCache,
    state: Mutex<State>,
}

enum State {
    /// The cache sees no commits yet.
    Waiting,
    /// The cache sees commits.
    Tied { _keep_alive: KeepAlive },
    /// `-shm` cannot be read. The log says why.
    Unreadable,
}

/// Keeps `-shm` in use. The connection is closed first.
struct KeepAlive {
    _connection: SqliteConnection,
    _open: Arc<()>,
}

/// Why the cache sees no commits.
#[derive(Debug, thiserror::Error)]
pub(super) enum Untied {
    #[error("cannot connect: {0}")]
    Connect(#[from] ConnectionError),
    #[error("the database refused: {0}")]
    Refused(#[from] diesel::result::Error),
    #[error("there is no write-ahead log")]
    NoWal,
    #[error("-shm cannot be read: {0}")]
    Index(#[from] Unreadable),
}

impl CacheFiles {
    pub(super) const fn new(cache: SqliteCache) -> Self {
        Self { cache, state: Mutex::new(State::Waiting) }
    }

    pub(super) const fn cache(&self) -> &SqliteCache {
        &self.cache
    }

    /// Lets the cache see commits, unless it does, or it is known that it cannot. `open` is held as long as the
    /// connection is open.
    pub(super) fn tie(&self, wal_index: &Path, open: &Arc<()>, connect: impl FnOnce() -> ConnectionResult<Connection>) {
        let mut state = self.state.lock();
        if !matches!(*state, State::Waiting) {
            return;
        }
        let open = Arc::clone(open);
        match self.attach(wal_index, connect) {
            Ok(connection) => *state = State::Tied { _keep_alive: KeepAlive { _connection: connection, _open: open } },
            // The next check tries again.
            Err(Untied::Index(Unreadable::BeingWritten)) => {}
            Err(untied) => {
                log::warn!("the user cache is off: {untied}");
                *state = State::Unreadable;
            }
        }
    }

    fn attach(
        &self,
        wal_index: &Path,
        connect: impl FnOnce() -> ConnectionResult<Connection>,
    ) -> Result<SqliteConnection, Untied> {
        let Connection::Sqlite(mut sqlite, _) = connect()? else { return Err(Untied::NoWal) };
        let mode: String = sql::<Text>("PRAGMA journal_mode").get_result(&mut sqlite)?;
        if mode != "wal" {
            return Err(Untied::NoWal);
        }
        // Opens `-shm`, and takes the lock that keeps other processes from deleting it.
        sqlite.batch_execute("SELECT 1 FROM sqlite_schema LIMIT 1")?;
        self.cache.attach(wal_index)?;
        Ok(sqlite)
    }

    /// Lets the cache forget everything, and closes the connection.
    pub(super) fn cut(&self) {
        let mut state = self.state.lock();
        // First: without the connection, SQLite may delete what the cache reads.
        self.cache.detach();
        *state = State::Waiting;
    }
}
