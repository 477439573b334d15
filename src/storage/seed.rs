//! Fills a database with made-up users.

use std::collections::HashSet;
use std::num::NonZeroU64;

use diesel::connection::SimpleConnection as _;
use diesel::pg::{Pg, PgConnection};
use diesel::prelude::*;
use diesel::query_builder::{QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Bool, Nullable, SingleValue, Text, Timestamp as SqlTimestamp};

use super::database::connection::batch_error::BatchError;
use super::database::connection::sqlite::write_transaction;
use super::database::connection::{Connection, on_backend};
use super::database::schema::migrations::{self, MigrateError};
use super::database::schema::tables::users;
use super::database::schema::timestamp_column::TimestampColumn;
use super::database::settings::Settings;
use super::write::request::Create;
use super::write::sqlite::insert_in_order;
use crate::domain::{NewUser, Timestamp, Version};

/// Users per transaction.
const BATCH: u64 = 10_000;

/// Why seeding stopped early.
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

/// Migrates, and creates the users numbered 1 to `count`, in this order: on an empty database these numbers are their
/// ids. Existing users stay as they are. Calls `progress` with the number of users done so far, and returns how many
/// were created.
///
/// # Errors
/// When the database cannot be reached or refuses. Batches before that are stored.
pub fn seed(
    settings: &Settings,
    count: NonZeroU64,
    user: impl Fn(u64) -> NewUser,
    mut progress: impl FnMut(u64),
) -> Result<u64, SeedError> {
    migrations::migrate(settings)?;
    // Batches of this size take longer than a request may.
    let mut connection = Connection::open(&settings.url, settings.deadline * 30)?;
    prepare_for_bulk(&mut connection)?;
    let (mut done, mut created) = (0, 0);
    while done < count.get() {
        let until = count.get().min(done + BATCH);
        let rows = Vec::from_iter((done + 1..=until).map(|number| Create::new(user(number), None, None)));
        created += create_missing(&mut connection, &rows)?;
        done = until;
        progress(done);
    }
    Ok(created)
}

/// Gives SQLite memory for the indexes, which a million users fill in random order, and lets it copy its log into the
/// database less often. Affects this connection only: a running service keeps its own settings.
fn prepare_for_bulk(connection: &mut Connection) -> QueryResult<()> {
    match connection {
        Connection::Sqlite(sqlite, _) => {
            sqlite.batch_execute("PRAGMA cache_size = -262144; PRAGMA wal_autocheckpoint = 50000;")
        }
        Connection::Postgres(..) => Ok(()),
    }
}

fn create_missing(connection: &mut Connection, rows: &[Create]) -> Result<u64, BatchError> {
    // Existing users are left out beforehand: PostgreSQL draws an id even for a row that it then skips.
    let existing = existing_keys(connection, rows)?;
    let missing = Vec::from_iter(rows.iter().filter(|row| !existing.contains(row.email_key().legacy())));
    let now = Timestamp::now();
    let created = match connection {
        Connection::Sqlite(sqlite, _) => {
            write_transaction(sqlite, |sqlite| insert_in_order(sqlite, &missing, now).map(|created| created.len()))?
        }
        Connection::Postgres(postgres, _) => {
            insert_many(&missing, now).execute(postgres).map_err(BatchError::from_autocommit)?
        }
    };
    Ok(created as u64)
}

fn existing_keys(connection: &mut Connection, rows: &[Create]) -> QueryResult<HashSet<String>> {
    let keys = Vec::from_iter(rows.iter().map(|row| row.email_key().legacy()));
    let existing: Vec<String> = on_backend!(connection, |connection| {
        users::table.filter(users::email_key.eq_any(&keys)).select(users::email_key).load(connection)
    })?;
    Ok(existing.into_iter().collect())
}

/// Creates many users, in this order. Each address must occur only once.
///
/// Each column of values is one array, so the statement does not depend on the number of rows and stays prepared.
fn insert_many<'a>(
    rows: &[&'a Create],
    now: Timestamp,
) -> impl QueryFragment<Pg> + QueryId + RunQueryDsl<PgConnection> + use<'a> {
    let column = |of: fn(&Create) -> &str| Vec::from_iter(rows.iter().map(|row| of(row)));
    let version = Version::FIRST.0.into_sql::<BigInt>();
    let now = TimestampColumn(now).into_sql::<SqlTimestamp>();
    diesel::select((
        unnest::<Text, _>(column(|row| row.name())),
        unnest::<Text, _>(column(|row| row.name_key())),
        unnest::<Text, _>(column(|row| row.email())),
        unnest::<Text, _>(column(|row| row.email_key().legacy())),
        unnest::<Nullable<Text>, _>(Vec::from_iter(rows.iter().map(|row| row.email_key().address_key()))),
        true.into_sql::<Bool>(),
        version,
        now,
        now,
    ))
    .insert_into(users::table)
    .into_columns((
        users::name,
        users::name_key,
        users::email,
        users::email_key,
        users::address_key,
        users::has_keys,
        users::version,
        users::created_at,
        users::updated_at,
    ))
    .on_conflict_do_nothing()
}

#[diesel::declare_sql_function]
extern "SQL" {
    /// One row per element. Several in one SELECT advance together.
    fn unnest<T: SingleValue>(values: Array<T>) -> T;
}
