//! Making and dropping indexes by a command.

use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use diesel::QueryResult;
use diesel::pg::PgConnection;

use super::builder::{BuildError, alone, build_missing};
use super::{AttributeIndexes, IndexProgress, postgres, sqlite};
use crate::domain::AttributeName;
use crate::storage::database::connection::Connection;
use crate::storage::database::settings::Settings;
use crate::storage::database::settings::database_url::DatabaseUrl;

/// How long one round of filling takes, until progress is shown.
const ROUND: Duration = Duration::from_millis(200);
/// How long to wait for another process that builds or drops an index.
const PAUSE: Duration = Duration::from_secs(2);
/// Within this time each replica has noticed that an index is no longer to be used, and filters that it had begun have ended.
const NOTICE: Duration = Duration::from_secs(5);

/// Why indexes could not be made or dropped.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    #[error("ATTRIBUTES_INDEXED is not set")]
    NoNames,
    #[error("ATTRIBUTES_INDEXED still names {0}: the index would be made again")]
    StillNamed(AttributeName),
    #[error("there is no index of the attribute {0}")]
    NoIndex(AttributeName),
    #[error("there is no database {0}")]
    NoDatabase(PathBuf),
    #[error("cannot connect: {0}")]
    Connect(#[from] diesel::ConnectionError),
    #[error("the database refused: {0}")]
    Refused(#[from] diesel::result::Error),
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// Makes the indexes that the settings name. Calls `show` with each index and how far it is, again and again until all are
/// complete. If another process makes one, waits for it.
///
/// # Errors
/// When the database cannot be reached, or refuses.
pub fn index_attributes(
    settings: &Settings,
    mut show: impl FnMut(&AttributeName, IndexProgress),
) -> Result<(), IndexError> {
    if settings.attributes_indexed.is_empty() {
        return Err(IndexError::NoNames);
    }
    let mut connection = open(settings)?;
    let indexes = AttributeIndexes::new(&settings.attributes_indexed);
    loop {
        if settings.url.is_postgres() {
            build_missing(settings)?;
        }
        indexes.check(&mut connection, Some(Instant::now() + ROUND))?;
        indexes.progress().for_each(|(name, progress)| show(name, progress));
        if indexes.are_complete() {
            return Ok(());
        }
        // On SQLite others may write meanwhile; on PostgreSQL another process is building.
        sleep(if settings.url.is_postgres() { PAUSE } else { ROUND });
    }
}

/// Drops the index of an attribute.
///
/// # Errors
/// When the settings still name the attribute, there is no such index, or the database refuses.
pub fn drop_attribute_index(settings: &Settings, name: &AttributeName) -> Result<(), IndexError> {
    if settings.attributes_indexed.contains(name) {
        return Err(IndexError::StillNamed(name.clone()));
    }
    let mut connection = open(settings)?;
    let was_there = match &connection {
        Connection::Sqlite(..) => drop_on_sqlite(&mut connection, name)?,
        Connection::Postgres(..) => loop {
            if let Some(was_there) = alone(settings, |postgres| drop_on_postgres(postgres, name))? {
                break was_there;
            }
            log::info!("waiting for another process that is at work on the table");
            sleep(PAUSE);
        },
    };
    if was_there { Ok(()) } else { Err(IndexError::NoIndex(name.clone())) }
}

fn drop_on_sqlite(connection: &mut Connection, name: &AttributeName) -> QueryResult<bool> {
    if !sqlite::mark_dropped(connection, name)? {
        return Ok(false);
    }
    while !sqlite::remove_some(connection, name)? {
        // Writers of the service come in between.
        sleep(Duration::from_millis(10));
    }
    Ok(true)
}

fn drop_on_postgres(postgres: &mut PgConnection, name: &AttributeName) -> QueryResult<bool> {
    // What a command has left that was cut off.
    let was_retired = postgres::drop_retired(postgres, name)?;
    let is_retired = postgres::retire(postgres, name)?;
    if is_retired {
        sleep(NOTICE);
        postgres::drop_retired(postgres, name)?;
    }
    Ok(was_retired || is_retired)
}

fn open(settings: &Settings) -> Result<Connection, IndexError> {
    // Connecting would create one.
    if let DatabaseUrl::Sqlite(path) = &settings.url
        && !path.exists()
    {
        return Err(IndexError::NoDatabase(path.clone()));
    }
    Ok(Connection::open(&settings.url, settings.deadline)?)
}
