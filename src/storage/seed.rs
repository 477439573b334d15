//! Fills a database with made-up users.

use std::collections::HashSet;
use std::num::NonZeroU64;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;

use super::Settings;
use super::batch_error::BatchError;
use super::connection::{Connection, on_backend, write_transaction};
use super::create_users::{NewRow, insert_in_order, insert_many};
use super::migrations::{self, MigrateError};
use super::schema::users;
use crate::users::{NewUser, Timestamp};

/// Users in one transaction.
const BATCH: u64 = 10_000;

/// Why seeding ended early.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    #[error("cannot connect: {0}")]
    Connect(#[from] diesel::ConnectionError),
    #[error("the database refused: {0}")]
    Refused(#[from] diesel::result::Error),
    #[error("a batch was {0}")]
    Batch(String),
}

impl From<BatchError> for SeedError {
    fn from(error: BatchError) -> Self {
        Self::Batch(error.to_string())
    }
}

/// Migrates, and creates the users numbered 1 to `count`, in this order: on an empty database these are their ids. A user
/// that is there already stays as it is. Tells `progress` how many users have been looked at, and returns how many were
/// created.
///
/// # Errors
/// When the database cannot be reached or refuses; whole batches before that are stored.
pub fn seed(
    settings: &Settings,
    count: NonZeroU64,
    user: impl Fn(u64) -> NewUser,
    mut progress: impl FnMut(u64),
) -> Result<u64, SeedError> {
    migrations::migrate(settings)?;
    // Batches this large take longer than a request may.
    let mut connection = Connection::open(&settings.url, settings.deadline * 30)?;
    prepare_for_bulk(&mut connection)?;
    let (mut done, mut created) = (0, 0);
    while done < count.get() {
        let until = count.get().min(done + BATCH);
        let rows = Vec::from_iter((done + 1..=until).map(|number| NewRow::new(user(number), None)));
        created += create_missing(&mut connection, &rows)?;
        done = until;
        progress(done);
    }
    Ok(created)
}

/// Gives SQLite memory for the indexes, which a million users fill in random order, and lets it copy the log into the
/// database file less often. For a minute, and for this connection only: a service that runs meanwhile keeps its own.
fn prepare_for_bulk(connection: &mut Connection) -> QueryResult<()> {
    match connection {
        Connection::Sqlite(sqlite) => {
            sqlite.batch_execute("PRAGMA cache_size = -262144; PRAGMA wal_autocheckpoint = 50000;")
        }
        Connection::Postgres(_) => Ok(()),
    }
}

fn create_missing(connection: &mut Connection, rows: &[NewRow]) -> Result<u64, BatchError> {
    // Those that are there are left out beforehand: PostgreSQL draws an id even for a row that it then skips.
    let there = existing(connection, rows)?;
    let missing = Vec::from_iter(rows.iter().filter(|row| !there.contains(row.email_key().older())));
    let now = Timestamp::now();
    let created = match connection {
        Connection::Sqlite(sqlite) => {
            write_transaction(sqlite, |sqlite| insert_in_order(sqlite, &missing, now).map(|created| created.len()))?
        }
        Connection::Postgres(postgres) => {
            insert_many(&missing, now).execute(postgres).map_err(BatchError::of_lone_statement)?
        }
    };
    Ok(created as u64)
}

fn existing(connection: &mut Connection, rows: &[NewRow]) -> QueryResult<HashSet<String>> {
    let keys = Vec::from_iter(rows.iter().map(|row| row.email_key().older()));
    let there: Vec<String> = on_backend!(connection, |connection| {
        users::table.filter(users::email_key.eq_any(&keys)).select(users::email_key).load(connection)
    })?;
    Ok(there.into_iter().collect())
}
