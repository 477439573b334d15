//! What the keeper asks of a connection: whether it can do what requests need. A ping says only that a server answers.

use diesel::dsl::sql;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Integer, Text};
use diesel::sqlite::SqliteConnection;

use super::connection::{Connection, on_backend};
use super::schema::{event_log, events, held_events, users};

/// What a database was found to be.
#[derive(QueryableByName)]
pub(super) struct Found {
    #[diesel(sql_type = Bool)]
    pub(super) is_read_only: bool,
    #[diesel(sql_type = Text)]
    pub(super) encoding: String,
    /// Whatever the tables are like; another text when they have changed.
    #[diesel(sql_type = Text)]
    pub(super) schema: String,
}

impl Found {
    /// Whether every name can be stored. `SQL_ASCII` stores bytes as they come.
    pub(super) fn holds_every_text(&self) -> bool {
        matches!(self.encoding.as_str(), "UTF8" | "SQL_ASCII")
    }
}

/// Asks what it is connected to: on PostgreSQL in one round trip.
pub(super) fn look(connection: &mut Connection) -> QueryResult<Found> {
    match connection {
        Connection::Sqlite(sqlite) => look_at_sqlite(sqlite),
        Connection::Postgres(postgres) => look_at_postgres(postgres),
    }
}

/// Fails unless all tables and columns are there that requests use.
pub(super) fn find_tables(connection: &mut Connection) -> QueryResult<()> {
    on_backend!(connection, |connection| {
        users::table.select(users::all_columns).limit(0).execute(connection)?;
        events::table.select(events::all_columns).limit(0).execute(connection)?;
        event_log::table.select(event_log::all_columns).limit(0).execute(connection)?;
        held_events::table.select(held_events::all_columns).limit(0).execute(connection)?;
        Ok(())
    })
}

/// SQL text, because neither settings nor the catalogues are tables of Diesel's. The setting is of the transaction, which a
/// standby makes read-only, as a setting of the session, the role or the database does.
fn look_at_postgres(postgres: &mut PgConnection) -> QueryResult<Found> {
    diesel::sql_query(
        "SELECT current_setting('transaction_read_only')::bool AS is_read_only,
            current_setting('server_encoding') AS encoding,
            (SELECT coalesce(string_agg(format('%s.%s %s', attrelid::bigint, attname, atttypid), ',' ORDER BY attrelid, attnum), '')
                FROM pg_attribute
                WHERE attnum > 0 AND NOT attisdropped AND attrelid IN (to_regclass('users'), to_regclass('events'),
                    to_regclass('event_log'), to_regclass('held_events'), to_regclass('__diesel_schema_migrations'))
            ) AS schema",
    )
    .get_result(postgres)
}

/// Whether its file may be written is asked of the file system: SQLite opens one that may not be for reading, and does not say
/// so before something is to be written.
fn look_at_sqlite(sqlite: &mut SqliteConnection) -> QueryResult<Found> {
    let version: i32 = sql::<Integer>("PRAGMA schema_version").get_result(sqlite)?;
    Ok(Found { is_read_only: false, encoding: "UTF8".to_owned(), schema: version.to_string() })
}
