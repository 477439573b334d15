//! Opens SQLite files and runs write transactions on them.
//!
//! The threads of this process that write to SQLite queue for a fair mutex, the write lock. SQLite's own lock goes to
//! the connection that asks at the right moment: a thread that writes batch after batch would hardly ever leave it to
//! one that sleeps and asks again, as SQLite's busy handler does.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use diesel::connection::{AnsiTransactionManager, SimpleConnection as _, TransactionManager as _};
use diesel::result::{DatabaseErrorKind as Kind, Error as DieselError};
use diesel::sqlite::SqliteConnection;
use diesel::{Connection as _, ConnectionError, ConnectionResult, QueryResult, RunQueryDsl as _};
use parking_lot::{FairMutex, FairMutexGuard};

use super::batch_error::BatchError;
use super::locks::lock_timeout;

/// The right to write to SQLite, until it is dropped.
pub(crate) type WriteLock = FairMutexGuard<'static, ()>;

/// Held by the thread of this process that writes to SQLite. A process has one database.
static WRITE_LOCK: FairMutex<()> = FairMutex::new(());

/// Writes within one transaction, which takes SQLite's write lock at its beginning: a transaction that reads first and
/// takes the lock later can fail halfway.
///
/// # Errors
/// Tell whether nothing was committed, or whether that is unknown. The transaction may still be open.
pub(crate) fn write_transaction<T>(
    sqlite: &mut SqliteConnection,
    write: impl FnOnce(&mut SqliteConnection) -> QueryResult<T>,
) -> Result<T, BatchError> {
    let _write_lock = begin_write(sqlite)?;
    let result = write(sqlite)?;
    commit(sqlite)?;
    Ok(result)
}

/// Begins a transaction that holds SQLite's write lock. The lock within this process is `None` if it took too long.
pub(super) fn begin_write(sqlite: &mut SqliteConnection) -> QueryResult<Option<WriteLock>> {
    let write_lock = lock_for_writing();
    AnsiTransactionManager::begin_transaction_sql(sqlite, "BEGIN IMMEDIATE")?;
    Ok(write_lock)
}

/// Waits until the writers that came earlier have finished.
///
/// This lock provides fairness, not safety. After the timeout the writer proceeds without it and waits for SQLite's
/// lock, which another process may hold.
fn lock_for_writing() -> Option<WriteLock> {
    const TIMEOUT: Duration = Duration::from_millis(100);
    WRITE_LOCK.try_lock_for(TIMEOUT)
}

/// Commits the transaction that was begun.
///
/// # Errors
/// As those of [`write_transaction`].
pub(crate) fn commit(sqlite: &mut SqliteConnection) -> Result<(), BatchError> {
    AnsiTransactionManager::commit_transaction(sqlite).map_err(|error| match &error {
        // SQLite writes at COMMIT, so this is where it runs out of space. Diesel has rolled back by now.
        DieselError::DatabaseError(Kind::Unknown, cause) if cause.message().ends_with("full") => {
            BatchError::NotExecuted(error)
        }
        _ => BatchError::OutcomeUnknown(error.into()),
    })
}

/// Rolls back the transaction that was begun.
pub(crate) fn roll_back(sqlite: &mut SqliteConnection) -> QueryResult<()> {
    AnsiTransactionManager::rollback_transaction(sqlite)
}

/// How many rows the connection has changed since it was opened.
pub(super) fn changed_rows(sqlite: &mut SqliteConnection) -> QueryResult<i64> {
    diesel::select(total_changes()).get_result(sqlite)
}

#[diesel::declare_sql_function]
extern "SQL" {
    /// SQLite's own count.
    fn total_changes() -> diesel::sql_types::BigInt;
}

/// Opens a file, and creates it if it does not exist.
pub(super) fn open(path: &Path, deadline: Duration) -> ConnectionResult<SqliteConnection> {
    if let Some(folder) = path.parent() {
        let cause = |error: std::io::Error| ConnectionError::BadConnection(format!("{}: {error}", folder.display()));
        std::fs::create_dir_all(folder).map_err(cause)?;
    }
    // Only its owner may read a new file, and SQLite gives `-wal` and `-shm` the same mode. SQLite meets any error here
    // too, and reports it.
    let _ = OpenOptions::new().write(true).create_new(true).mode(0o600).open(end_of_links(path));
    let mut connection = SqliteConnection::establish(&path.to_string_lossy())?;
    let timeout = lock_timeout(deadline);
    let setup =
        format!("PRAGMA busy_timeout = {}; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;", timeout.as_millis());
    let ready = connection.batch_execute(&setup).and_then(|()| use_wal(&mut connection, timeout));
    ready.map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(connection)
}

/// Follows the links of a path, whether or not a file is at their end: `create_new` creates no file through a link.
fn end_of_links(path: &Path) -> PathBuf {
    /// As many as the kernel follows.
    const MAX_LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let Ok(target) = std::fs::read_link(&path) else { break };
        // A relative target is relative to the folder of its link.
        path = path.parent().map(|folder| folder.join(&target)).unwrap_or(target);
    }
    path
}

/// Switches a new file to WAL; a file that uses WAL stays as it is.
///
/// If two connections switch at once they would wait for each other, so SQLite fails one of them and ignores the busy
/// timeout.
fn use_wal(sqlite: &mut SqliteConnection, timeout: Duration) -> QueryResult<()> {
    const PAUSE: Duration = Duration::from_millis(5);
    let give_up_at = Instant::now() + timeout;
    loop {
        match sqlite.batch_execute("PRAGMA journal_mode = WAL;") {
            Err(error) if is_locked(&error) && Instant::now() < give_up_at => std::thread::sleep(PAUSE),
            result => return result,
        }
    }
}

fn is_locked(error: &DieselError) -> bool {
    matches!(error, DieselError::DatabaseError(_, cause) if cause.message() == "database is locked")
}
