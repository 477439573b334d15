//! One connection to either database.
//!
//! `Connection` is a plain enum. `on_backend!` writes a `match` with the same body in both arms: written once,
//! type-checked against each concrete connection, without a layer at run time. Where the databases are better served by
//! different statements, the `match` is written out. Diesel's `MultiConnection` is not used; see
//! docs/decisions/0003-connection-enum.md.
//!
//! A new PostgreSQL connection sets `statement_timeout` and `idle_in_transaction_session_timeout` to `DB_DEADLINE`, and
//! `lock_timeout` to a quarter of it, so that a locked table leaves time to report it. A statement that writes has its
//! own shorter lock timeout for users and addresses. libpq's `connect_timeout`, keepalives and `tcp_user_timeout`
//! (twice `DB_DEADLINE`, from 1 to 10 s) get short values unless the URI sets them. On SQLite, `busy_timeout` is a
//! quarter of `DB_DEADLINE`.
//!
//! The writers of a SQLite database within this process take turns through a fair mutex: SQLite's own lock favours the
//! connection that asks most often.
//!
//! No call takes a second connection while it holds one, so a pool as large as the number of actors cannot deadlock. No
//! statement is SQL text where Diesel's DSL can express it; each exception says why. No statement's text depends on its
//! number of rows, so that it stays prepared; the exceptions are SQLite's statements for 1 to 16 rows.

pub(crate) mod batch_error;
pub(crate) mod event_writers;
pub(crate) mod locks;
pub(crate) mod postgres;
pub(crate) mod sqlite;

use std::time::Duration;

use diesel::connection::{AnsiTransactionManager, SimpleConnection as _, TransactionManager as _};
use diesel::pg::PgConnection;
use diesel::r2d2::R2D2Connection as _;
use diesel::result::Error as DieselError;
use diesel::sqlite::SqliteConnection;
use diesel::{ConnectionResult, QueryResult};

use super::settings::database_url::DatabaseUrl;
use crate::storage::user_cache::{OwnCommit, PostgresCache, SqliteCache};
use batch_error::BatchError;
use sqlite::WriteLock;

/// An open connection.
pub(crate) enum Connection {
    /// With the user cache that is to be told of commits, if there is one.
    Sqlite(SqliteConnection, Option<SqliteCache>),
    /// With the user cache through which look-ups go, if there is one.
    Postgres(PgConnection, Option<PostgresCache>),
}

/// Runs the same Diesel code on either connection.
///
/// A macro, because the two connections have different types, and the bounds that Diesel needs for generic code over
/// both would be longer than the code itself.
macro_rules! on_backend {
    ($connection:expr, |$concrete:ident| $body:expr) => {
        match $connection {
            $crate::storage::database::connection::Connection::Sqlite($concrete, _) => $body,
            $crate::storage::database::connection::Connection::Postgres($concrete, _) => $body,
        }
    };
}
pub(crate) use on_backend;

impl Connection {
    /// Connects. No statement waits longer than a quarter of `deadline` for a lock. On PostgreSQL no statement takes
    /// longer than `deadline` in all.
    pub(crate) fn open(url: &DatabaseUrl, deadline: Duration) -> ConnectionResult<Self> {
        match url {
            DatabaseUrl::Sqlite(path) => sqlite::open(path, deadline).map(|sqlite| Self::Sqlite(sqlite, None)),
            DatabaseUrl::Postgres(url) => postgres::open(url, deadline).map(|postgres| Self::Postgres(postgres, None)),
        }
    }

    /// Reads within one transaction.
    pub(crate) fn read_transaction<T>(&mut self, read: impl FnOnce(&mut Self) -> QueryResult<T>) -> QueryResult<T> {
        on_backend!(self, |connection| AnsiTransactionManager::begin_transaction(connection))?;
        let result = read(self)?;
        on_backend!(self, |connection| AnsiTransactionManager::commit_transaction(connection))?;
        Ok(result)
    }

    /// Reads within one transaction, of which all statements see the same. After an error the transaction may still be open.
    pub(crate) fn snapshot<T, E: From<DieselError>>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        const SNAPSHOT: &str = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY";
        match self {
            // All of a transaction sees what its first statement has seen.
            Self::Sqlite(sqlite, _) => AnsiTransactionManager::begin_transaction(sqlite)?,
            Self::Postgres(postgres, _) => AnsiTransactionManager::begin_transaction_sql(postgres, SNAPSHOT)?,
        }
        let result = read(self)?;
        on_backend!(self, |connection| AnsiTransactionManager::commit_transaction(connection))?;
        Ok(result)
    }

    /// Writes within one transaction. After an error the transaction may still be open.
    pub(crate) fn write<T>(&mut self, write: impl FnOnce(&mut Self) -> QueryResult<T>) -> QueryResult<T> {
        let _write_lock = match self {
            Self::Sqlite(sqlite, _) => sqlite::begin_write(sqlite)?,
            Self::Postgres(postgres, _) => {
                AnsiTransactionManager::begin_transaction(postgres)?;
                None
            }
        };
        let result = write(self)?;
        on_backend!(self, |connection| AnsiTransactionManager::commit_transaction(connection))?;
        Ok(result)
    }

    /// Writes within one transaction, but no users: the user cache stays as it is. After an error the transaction may
    /// still be open.
    pub(crate) fn write_no_user<T>(&mut self, write: impl FnOnce(&mut Self) -> QueryResult<T>) -> QueryResult<T> {
        let mut commit = None;
        let result = self.write(|connection| {
            let begun = connection.begin_own_commit();
            let before = connection.changed_rows()?;
            let result = write(connection)?;
            // Without a change there is no commit, and the next one may be another process's.
            commit = begun.filter(|_| connection.changed_rows().is_ok_and(|after| after != before));
            Ok(result)
        })?;
        if let Some(commit) = commit {
            commit.take_in([], None);
        }
        Ok(result)
    }

    /// A commit of users that is about to be made, if a user cache has to know of it.
    pub(crate) fn begin_own_commit(&self) -> Option<OwnCommit> {
        match self {
            Self::Sqlite(_, cache) => cache.as_ref()?.begin_commit(),
            Self::Postgres(..) => None,
        }
    }

    /// How many rows this connection has changed so far. Without a user cache nobody asks.
    fn changed_rows(&mut self) -> QueryResult<i64> {
        match self {
            Self::Sqlite(sqlite, Some(_)) => sqlite::changed_rows(sqlite),
            _ => Ok(0),
        }
    }

    /// Begins the transaction of a batch of writes, and waits for the write lock. On PostgreSQL such a batch is one
    /// statement, which needs no transaction.
    pub(crate) fn begin_batch(&mut self) -> QueryResult<Option<WriteLock>> {
        match self {
            Self::Sqlite(sqlite, _) => sqlite::begin_write(sqlite),
            Self::Postgres(..) => Ok(None),
        }
    }

    /// Begins the transaction of a batch that is more than one statement. On SQLite it has begun already.
    pub(crate) fn begin_transaction_on_postgres(&mut self) -> QueryResult<()> {
        match self {
            Self::Sqlite(..) => Ok(()),
            Self::Postgres(postgres, _) => AnsiTransactionManager::begin_transaction(postgres),
        }
    }

    /// Lets commits of this connection copy SQLite's log into the database once it has so many pages.
    pub(crate) fn checkpoint_after(&mut self, pages: u32) -> QueryResult<()> {
        match self {
            Self::Sqlite(sqlite, _) => sqlite.batch_execute(&format!("PRAGMA wal_autocheckpoint = {pages}")),
            Self::Postgres(..) => Ok(()),
        }
    }

    /// Commits the transaction of such a batch.
    pub(crate) fn commit_batch(&mut self) -> Result<(), BatchError> {
        match self {
            Self::Sqlite(sqlite, _) => sqlite::commit(sqlite),
            Self::Postgres(postgres, _) => {
                AnsiTransactionManager::commit_transaction(postgres).map_err(BatchError::from_autocommit)
            }
        }
    }

    /// Rolls it back.
    pub(crate) fn roll_back_batch(&mut self) -> QueryResult<()> {
        on_backend!(self, |connection| AnsiTransactionManager::rollback_transaction(connection))
    }

    /// Ends the transaction of a failed batch. Returns whether the connection can still be used.
    pub(crate) fn recover(&mut self) -> bool {
        on_backend!(self, |connection| {
            // There may be no transaction left to roll back. The ping shows whether the connection works.
            let _ = AnsiTransactionManager::rollback_transaction(connection);
            !connection.is_broken() && connection.ping().is_ok()
        })
    }

    /// Whether the server is known to have closed the connection. Costs no round trip: it reads only what has already
    /// arrived, which on an idle connection is nothing.
    pub(crate) fn is_closed(&mut self) -> bool {
        match self {
            Self::Sqlite(..) => false,
            // libpq looks at its socket when it is asked for notifications, and Diesel offers no other way to make it
            // look. The first look may find the server's farewell, if it sent one; the second finds the end.
            Self::Postgres(postgres, _) => (0..2).any(|_| matches!(postgres.notifications_iter().next(), Some(Err(_)))),
        }
    }

    /// Whether a call may hang: only a remote server can leave a call without a response.
    pub(crate) const fn may_hang(&self) -> bool {
        matches!(self, Self::Postgres(..))
    }
}
