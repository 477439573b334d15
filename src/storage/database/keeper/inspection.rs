//! What the keeper asks of a connection: whether the database can do what requests need. A ping would show only that a
//! server responds.

use diesel::dsl::sql;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Integer, Text};
use diesel::sqlite::SqliteConnection;

use crate::storage::database::connection::{Connection, on_backend};
use crate::storage::database::schema::tables::{event_log, events, held_events, idempotency_keys, user_counts, users};

/// The state of a database.
#[derive(QueryableByName)]
pub(super) struct Inspection {
    #[diesel(sql_type = Bool)]
    pub(super) is_read_only: bool,
    #[diesel(sql_type = Text)]
    pub(super) encoding: String,
    /// A description of the tables, which differs whenever they have changed.
    #[diesel(sql_type = Text)]
    pub(super) schema: String,
}

impl Inspection {
    /// Whether every name can be stored. `SQL_ASCII` stores any bytes.
    pub(super) fn stores_every_text(&self) -> bool {
        matches!(self.encoding.as_str(), "UTF8" | "SQL_ASCII")
    }
}

/// Inspects the database, on PostgreSQL in one round trip.
pub(super) fn inspect(connection: &mut Connection) -> QueryResult<Inspection> {
    match connection {
        Connection::Sqlite(sqlite, _) => inspect_sqlite(sqlite),
        Connection::Postgres(postgres, _) => inspect_postgres(postgres),
    }
}

/// Fails unless all tables and columns exist that requests use.
pub(super) fn require_tables(connection: &mut Connection) -> QueryResult<()> {
    on_backend!(connection, |connection| {
        users::table.select(users::all_columns).limit(0).execute(connection)?;
        events::table.select(events::all_columns).limit(0).execute(connection)?;
        event_log::table.select(event_log::all_columns).limit(0).execute(connection)?;
        held_events::table.select(held_events::all_columns).limit(0).execute(connection)?;
        idempotency_keys::table.select(idempotency_keys::all_columns).limit(0).execute(connection)?;
        user_counts::table.select(user_counts::all_columns).limit(0).execute(connection)?;
        Ok(())
    })
}

/// SQL text, because Diesel knows neither settings nor catalogues. `transaction_read_only` covers a standby as well as
/// the settings of the session, the role and the database.
fn inspect_postgres(postgres: &mut PgConnection) -> QueryResult<Inspection> {
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

/// Does not ask whether the file is read-only: SQLite opens such a file for reading, and fails only when it writes. The
/// file system is asked instead.
fn inspect_sqlite(sqlite: &mut SqliteConnection) -> QueryResult<Inspection> {
    let version: i32 = sql::<Integer>("PRAGMA schema_version").get_result(sqlite)?;
    Ok(Inspection { is_read_only: false, encoding: "UTF8".to_owned(), schema: version.to_string() })
}
