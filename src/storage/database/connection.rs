//! One connection to either database.
//!
//! Not Diesel's `MultiConnection`: it knows neither ON CONFLICT nor `returning`, and its row type costs time on every
//! statement. With [`on_backend`] each statement is written once and type-checked against both concrete connections.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use diesel::connection::{AnsiTransactionManager, SimpleConnection as _, TransactionManager as _};
use diesel::pg::PgConnection;
use diesel::r2d2::R2D2Connection as _;
use diesel::result::{DatabaseErrorKind as Kind, Error as DieselError};
use diesel::sqlite::SqliteConnection;
use diesel::{Connection as _, ConnectionError, ConnectionResult, QueryResult};
use parking_lot::{FairMutex, FairMutexGuard};

use super::batch_error::BatchError;
use super::database_url::DatabaseUrl;
use crate::telemetry;

/// An open connection.
pub(crate) enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// Runs the same Diesel code on whichever connection it is. A macro because the two have different types and Diesel's
/// bounds for code that is generic over them would be longer than the code.
macro_rules! on_backend {
    ($connection:expr, |$concrete:ident| $body:expr) => {
        match $connection {
            $crate::storage::database::connection::Connection::Sqlite($concrete) => $body,
            $crate::storage::database::connection::Connection::Postgres($concrete) => $body,
        }
    };
}
pub(crate) use on_backend;

impl Connection {
    /// Connects. No statement of the new connection waits longer than a quarter of `patience` for a lock; on PostgreSQL
    /// none takes longer than `patience` in all.
    pub(crate) fn open(url: &DatabaseUrl, patience: Duration) -> ConnectionResult<Self> {
        match url {
            DatabaseUrl::Sqlite(path) => open_sqlite(path, patience).map(Self::Sqlite),
            DatabaseUrl::Postgres(url) => open_postgres(url, patience).map(Self::Postgres),
        }
    }

    /// Reads within one transaction.
    pub(crate) fn read_transaction<T>(&mut self, read: impl FnOnce(&mut Self) -> QueryResult<T>) -> QueryResult<T> {
        on_backend!(self, |connection| AnsiTransactionManager::begin_transaction(connection))?;
        let result = read(self)?;
        on_backend!(self, |connection| AnsiTransactionManager::commit_transaction(connection))?;
        Ok(result)
    }

    /// Writes within one transaction. After an error it may be open still.
    pub(crate) fn write<T>(&mut self, write: impl FnOnce(&mut Self) -> QueryResult<T>) -> QueryResult<T> {
        let _turn = matches!(self, Self::Sqlite(_)).then(turn);
        match self {
            // See `write_transaction`.
            Self::Sqlite(sqlite) => AnsiTransactionManager::begin_transaction_sql(sqlite, "BEGIN IMMEDIATE"),
            Self::Postgres(postgres) => AnsiTransactionManager::begin_transaction(postgres),
        }?;
        let result = write(self)?;
        on_backend!(self, |connection| AnsiTransactionManager::commit_transaction(connection))?;
        Ok(result)
    }

    /// Begins the transaction of a batch that changes something, and waits for the write lock. On PostgreSQL such a batch is one
    /// statement, which needs no transaction.
    pub(crate) fn begin_batch(&mut self) -> QueryResult<Turn> {
        match self {
            Self::Sqlite(sqlite) => begin_write(sqlite),
            Self::Postgres(_) => Ok(None),
        }
    }

    /// After a failed batch: ends its transaction. False when the connection is of no more use.
    pub(crate) fn recover(&mut self) -> bool {
        on_backend!(self, |connection| {
            // There may be no transaction left to roll back; the ping tells what matters.
            let _ = AnsiTransactionManager::rollback_transaction(connection);
            !connection.is_broken() && connection.ping().is_ok()
        })
    }

    /// Whether the server is known to have closed the connection. Costs no round trip: it reads what has arrived by
    /// now, which on an idle connection is nothing.
    pub(crate) fn is_closed(&mut self) -> bool {
        match self {
            Self::Sqlite(_) => false,
            // libpq looks at the socket when it is asked for notifications, and Diesel offers no other way to have it
            // look. First comes the server's farewell, if it took the time for one, then the end.
            Self::Postgres(postgres) => (0..2).any(|_| matches!(postgres.notifications_iter().next(), Some(Err(_)))),
        }
    }

    /// Whether there is another side that may leave a call without an answer.
    pub(crate) const fn may_hang(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }
}

/// Writes within one transaction. It takes the write lock at once: one that reads first and asks for it later can fail
/// halfway.
///
/// # Errors
/// Say whether it is known that nothing was committed, or not known. The transaction may be open still.
pub(crate) fn write_transaction<T>(
    sqlite: &mut SqliteConnection,
    write: impl FnOnce(&mut SqliteConnection) -> QueryResult<T>,
) -> Result<T, BatchError> {
    let _turn = begin_write(sqlite)?;
    write_and_commit(sqlite, write)
}

fn begin_write(sqlite: &mut SqliteConnection) -> QueryResult<Turn> {
    let turn = turn();
    AnsiTransactionManager::begin_transaction_sql(sqlite, "BEGIN IMMEDIATE")?;
    Ok(turn)
}

/// Writes in the transaction that was begun, and commits it.
///
/// # Errors
/// As those of [`write_transaction`].
pub(crate) fn write_and_commit<T>(
    sqlite: &mut SqliteConnection,
    write: impl FnOnce(&mut SqliteConnection) -> QueryResult<T>,
) -> Result<T, BatchError> {
    let result = write(sqlite)?;
    AnsiTransactionManager::commit_transaction(sqlite).map_err(|error| match &error {
        // SQLite writes at COMMIT, so this is when it finds no room; Diesel has rolled back by now.
        DieselError::DatabaseError(Kind::Unknown, cause) if cause.message().ends_with("full") => {
            BatchError::NotExecuted(error)
        }
        _ => BatchError::OutcomeUnknown(error.into()),
    })?;
    Ok(result)
}

/// The turn of a thread that writes to SQLite, until it is dropped.
pub(crate) type Turn = Option<FairMutexGuard<'static, ()>>;

/// Whose turn it is, of this process's threads that write to SQLite. A process has one database.
static TURNS: FairMutex<()> = FairMutex::new(());

/// Waits until those are done who came before. SQLite's own lock goes to whoever asks at the right moment: a thread that
/// writes batch after batch hardly ever leaves it to one that sleeps and asks again, as SQLite's busy handler does.
///
/// It is a matter of manners, not of safety: whoever has waited for long goes on without a turn, and has to wait for SQLite's
/// lock. It may be another process that holds it.
fn turn() -> Turn {
    const PATIENCE: Duration = Duration::from_millis(100);
    TURNS.try_lock_for(PATIENCE)
}

fn open_sqlite(path: &Path, patience: Duration) -> ConnectionResult<SqliteConnection> {
    if let Some(folder) = path.parent() {
        let cause = |error: std::io::Error| ConnectionError::BadConnection(format!("{}: {error}", folder.display()));
        std::fs::create_dir_all(folder).map_err(cause)?;
    }
    // A new file is for its owner only, and SQLite gives those beside it the same mode. Whatever goes wrong here, it will
    // meet too, and tell.
    let _ = OpenOptions::new().write(true).create_new(true).mode(0o600).open(end_of_links(path));
    let mut connection = SqliteConnection::establish(&path.to_string_lossy())?;
    let patience = lock_patience(patience);
    let setup =
        format!("PRAGMA busy_timeout = {}; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;", patience.as_millis());
    let ready = connection.batch_execute(&setup).and_then(|()| use_wal(&mut connection, patience));
    ready.map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(connection)
}

/// The file that a path stands for, whether it is there or not: a new file is never made through a link.
fn end_of_links(path: &Path) -> PathBuf {
    /// As many as the kernel follows.
    const MAX_LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let Ok(target) = std::fs::read_link(&path) else { break };
        // A relative one is so to the folder that the link is in.
        path = path.parent().map(|folder| folder.join(&target)).unwrap_or(target);
    }
    path
}

/// Switches a new file to WAL; one that has it stays as it is.
///
/// Two that switch at once would wait for each other, so SQLite fails one of them without regard to the busy timeout.
fn use_wal(sqlite: &mut SqliteConnection, patience: Duration) -> QueryResult<()> {
    const PAUSE: Duration = Duration::from_millis(5);
    let give_up = Instant::now() + patience;
    loop {
        match sqlite.batch_execute("PRAGMA journal_mode = WAL;") {
            Err(error) if is_locked(&error) && Instant::now() < give_up => std::thread::sleep(PAUSE),
            result => return result,
        }
    }
}

fn is_locked(error: &DieselError) -> bool {
    matches!(error, DieselError::DatabaseError(_, cause) if cause.message() == "database is locked")
}

/// A lock that somebody holds must leave time to say so, and to try the rest of the batch without the message that waits
/// for it.
pub(crate) fn lock_patience(patience: Duration) -> Duration {
    (patience / 4).max(Duration::from_millis(1))
}

/// What libpq should do unless the URI says otherwise: notice within seconds that the server's machine is gone.
fn libpq_defaults(patience: Duration) -> [(&'static str, String); 6] {
    [
        ("application_name", "user-service".to_owned()),
        ("connect_timeout", "2".to_owned()),
        ("keepalives_idle", "10".to_owned()),
        ("keepalives_interval", "3".to_owned()),
        ("keepalives_count", "3".to_owned()),
        ("tcp_user_timeout", tcp_user_timeout(patience).as_millis().to_string()),
    ]
}

/// How long what was sent may stay unacknowledged. Whoever sent it has given up after `patience`, and the watchdog would abandon
/// the connection after twice that: it is better lost in order, just before.
fn tcp_user_timeout(patience: Duration) -> Duration {
    patience.saturating_mul(2).clamp(Duration::from_secs(1), Duration::from_secs(10))
}

fn open_postgres(url: &str, patience: Duration) -> ConnectionResult<PgConnection> {
    // libpq prints what the server tells whoever connects, such as that its collation is of another version by now.
    let mut connection = telemetry::heard(|| PgConnection::establish(&with_defaults(url, patience)))?;
    let setup = format!(
        "SET statement_timeout = {0}; SET idle_in_transaction_session_timeout = {0}; SET lock_timeout = {1};",
        patience.as_millis(),
        lock_patience(patience).as_millis()
    );
    connection.batch_execute(&setup).map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(connection)
}

fn with_defaults(url: &str, patience: Duration) -> String {
    let mut url = url.to_owned();
    for (name, value) in libpq_defaults(patience) {
        let query = url.split_once('?').map(|(_, query)| query);
        if !query.unwrap_or_default().split('&').any(|pair| pair.split('=').next() == Some(name)) {
            let separator = if query.is_some() { '&' } else { '?' };
            url.extend([separator]);
            url.extend([name, "=", &value]);
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_only_what_the_uri_does_not_say() {
        let url = with_defaults("postgres://db/users?connect_timeout=9", Duration::from_secs(2));
        assert!(url.starts_with("postgres://db/users?connect_timeout=9&application_name=user-service&"), "{url}");
        assert_eq!(url.matches("connect_timeout").count(), 1);
        assert!(url.ends_with("&tcp_user_timeout=4000"), "{url}");
        let bare = with_defaults("postgres://db", Duration::from_mins(1));
        assert!(bare.starts_with("postgres://db?application_name=user-service&"), "{bare}");
        assert!(bare.ends_with("&tcp_user_timeout=10000"), "{bare}");
    }
}
