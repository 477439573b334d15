//! Reads all users at once, for a command.

use std::io;
use std::path::PathBuf;

use super::database::connection::Connection;
use super::database::settings::Settings;
use super::database::settings::database_url::DatabaseUrl;
use super::read::list_users::{count, read_page};
use crate::domain::{PageFilter, PageQuery, PageSize, Start, User};

/// Why an export stopped early.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("there is no database {0}")]
    NoDatabase(PathBuf),
    #[error("cannot connect: {0}")]
    Connect(#[from] diesel::ConnectionError),
    #[error("the database refused: {0}")]
    Refused(#[from] diesel::result::Error),
    #[error("cannot write: {0}")]
    Write(#[from] io::Error),
}

/// Reads all users by id, in one snapshot: `begin` gets their number, and `take` one page after the other. Requests are
/// served meanwhile; the snapshot keeps the database from reusing space until it ends.
///
/// # Errors
/// When the database cannot be reached or refuses, and when `take` fails. The database may refuse to wait if `take` takes
/// longer than 30 times `DB_DEADLINE`.
pub fn export(
    settings: &Settings,
    begin: impl FnOnce(u64),
    take: impl FnMut(Vec<User>) -> io::Result<()>,
) -> Result<(), ExportError> {
    // Connecting would create one.
    if let DatabaseUrl::Sqlite(path) = &settings.url
        && !path.exists()
    {
        return Err(ExportError::NoDatabase(path.clone()));
    }
    // Whoever reads the output may be slow.
    let mut connection = Connection::open(&settings.url, settings.deadline * 30)?;
    connection.snapshot(|connection| read_all(connection, begin, take))
}

fn read_all(
    connection: &mut Connection,
    begin: impl FnOnce(u64),
    mut take: impl FnMut(Vec<User>) -> io::Result<()>,
) -> Result<(), ExportError> {
    let mut start = Start::BEGINNING;
    begin(count(connection, &PageFilter::default())?.unsigned_abs());
    loop {
        let query = PageQuery::of_all(start, PageSize::EXPORT);
        let page = read_page(connection, &query)?.value;
        take(page.users)?;
        let Some(last) = page.next else { return Ok(()) };
        start = query.start.after(last);
    }
}
