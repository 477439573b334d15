//! A copy of a SQLite database while it is in use.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use diesel::Connection as _;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Text;

use super::Settings;
use super::connection::Connection;
use super::database_url::DatabaseUrl;

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

/// Copies the database into a new file, for its owner only, as one moment left it; requests are served meanwhile. What is
/// there afterwards is on the disk, and was read again.
///
/// # Errors
/// When there already is such a file, on PostgreSQL, and when it fails; then there is no such file.
pub fn backup(settings: &Settings, to: &Path) -> Result<(), BackupError> {
    let DatabaseUrl::Sqlite(database) = &settings.url else { return Err(BackupError::Postgres) };
    // To connect would make one.
    if !database.exists() {
        return Err(BackupError::NoDatabase(database.clone()));
    }
    let failed = |error| BackupError::File(to.to_owned(), error);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(failed)?;
    let copied = copy(settings, to).and_then(|()| keep(&file, to).map_err(failed));
    if copied.is_err() {
        // Half a backup must not be taken for one. That there is none is what is told.
        let _ = std::fs::remove_file(to);
    }
    copied
}

fn copy(settings: &Settings, to: &Path) -> Result<(), BackupError> {
    let Connection::Sqlite(mut sqlite) = Connection::open(&settings.url, settings.deadline)? else {
        return Err(BackupError::Postgres);
    };
    // Diesel has no word for it. It takes a file that is there as long as that is empty.
    diesel::sql_query("VACUUM INTO ?").bind::<Text, _>(to.to_string_lossy()).execute(&mut sqlite)?;
    let mut copy = SqliteConnection::establish(&to.to_string_lossy())?;
    let found: String = sql::<Text>("PRAGMA integrity_check(1)").get_result(&mut copy)?;
    if found == "ok" { Ok(()) } else { Err(BackupError::Damaged(found)) }
}

/// SQLite does not do that with a copy.
fn keep(file: &File, path: &Path) -> io::Result<()> {
    file.sync_all()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
