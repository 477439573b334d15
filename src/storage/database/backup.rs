//! Copies a SQLite database while it is in use.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use diesel::Connection as _;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Text;
use tempfile::{Builder, TempPath};

use super::connection::Connection;
use super::settings::Settings;
use super::settings::database_url::DatabaseUrl;

/// The prefix of the name of the folder in which the copy is made. The folder is beside the copy.
const UNFINISHED: &str = ".user-service-backup-";

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("a backup of PostgreSQL is made by pg_dump, or by archiving its log")]
    Postgres,
    #[error("there is no database {0}")]
    NoDatabase(PathBuf),
    #[error("cannot connect: {0}")]
    Connect(#[from] diesel::ConnectionError),
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    #[error("the database refused: {0}")]
    Refused(#[from] diesel::result::Error),
    #[error("the copy is damaged: {0}")]
    Damaged(String),
}

/// Copies the database into a new file, which only its owner may read. The copy is a consistent snapshot; requests are
/// served meanwhile. When this returns, the copy is complete, has passed SQLite's integrity check, and is on disk.
///
/// # Errors
/// When the file exists, on PostgreSQL, and when copying fails. A failed backup leaves no file.
pub fn backup(settings: &Settings, to: &Path) -> Result<(), BackupError> {
    let DatabaseUrl::Sqlite(database) = &settings.url else { return Err(BackupError::Postgres) };
    // Connecting would create one.
    if !database.exists() {
        return Err(BackupError::NoDatabase(database.clone()));
    }
    let failed = |error| BackupError::File(to.to_owned(), error);
    if to.symlink_metadata().is_ok() {
        return Err(failed(io::ErrorKind::AlreadyExists.into()));
    }
    let to = std::path::absolute(to).map_err(failed)?;
    let folder = to.parent().ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
    // An unfinished copy must not be mistaken for a backup, so it gets its name at the end. If this process is killed,
    // the folder remains.
    let unfinished = Builder::new().prefix(UNFINISHED).permissions(Permissions::from_mode(0o700)).tempdir_in(folder);
    let copied = unfinished.map_err(failed)?;
    let copied = TempPath::try_from_path(copied.path().join("copy")).map_err(failed)?;
    copy(settings, &copied)?;
    copied.persist_noclobber(&to).map_err(|error| failed(error.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

fn copy(settings: &Settings, to: &Path) -> Result<(), BackupError> {
    let failed = |error| BackupError::File(to.to_owned(), error);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(failed)?;
    let Connection::Sqlite(mut sqlite, _) = Connection::open(&settings.url, settings.deadline)? else {
        return Err(BackupError::Postgres);
    };
    // SQLite takes names as text. A name that begins with a slash is a path, never a URI.
    let name = to.to_str().ok_or_else(|| failed(io::ErrorKind::InvalidFilename.into()))?;
    // SQL text, because Diesel has no `VACUUM`. SQLite accepts an existing file if it is empty.
    diesel::sql_query("VACUUM INTO ?").bind::<Text, _>(name).execute(&mut sqlite)?;
    let mut copy = SqliteConnection::establish(name)?;
    let found: String = sql::<Text>("PRAGMA integrity_check(1)").get_result(&mut copy)?;
    if found != "ok" {
        return Err(BackupError::Damaged(found));
    }
    // SQLite does not sync a copy.
    file.sync_all().map_err(failed)
}
