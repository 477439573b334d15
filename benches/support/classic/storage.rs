//! A pool of connections, and one statement a call.

use chrono::{NaiveDateTime, Utc};
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, Error, NopErrorHandler, Pool, R2D2Connection};
use serde::Serialize;
use user_service::users::NewUser;

diesel::table! {
    users (id) {
        id -> BigInt,
        name -> Text,
        name_key -> Text,
        email -> Text,
        email_key -> Text,
        version -> BigInt,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}

#[derive(Queryable, Selectable, Serialize)]
pub(super) struct User {
    pub(super) id: i64,
    name: String,
    email: String,
}

#[derive(Insertable)]
#[diesel(table_name = users)]
struct NewRow {
    name: String,
    name_key: String,
    email: String,
    email_key: String,
    version: i64,
    created_at: NaiveDateTime,
    updated_at: NaiveDateTime,
}

impl From<NewUser> for NewRow {
    fn from(new: NewUser) -> Self {
        let now = Utc::now().naive_utc();
        Self {
            name_key: new.name.key().into_string(),
            name: new.name.into_string(),
            email_key: new.email.key().into_string(),
            email: new.email.into_string(),
            version: 1,
            created_at: now,
            updated_at: now,
        }
    }
}

pub(super) enum Storage {
    Sqlite(Pool<ConnectionManager<SqliteConnection>>),
    Postgres(Pool<ConnectionManager<PgConnection>>),
}

/// Runs one statement on a connection of whichever pool it is.
macro_rules! on_pool {
    ($storage:expr, |$connection:ident| $statement:expr) => {
        match $storage {
            Storage::Sqlite(pool) => {
                let $connection = &mut pool.get().expect("a connection");
                $statement
            }
            Storage::Postgres(pool) => {
                let $connection = &mut pool.get().expect("a connection");
                $statement
            }
        }
    };
}

impl Storage {
    pub(super) fn open(url: &str) -> Self {
        match url.strip_prefix("sqlite://") {
            Some(path) => Self::Sqlite(pool(path, SQLITE_CONNECTIONS, Durable)),
            None => Self::Postgres(pool(url, POSTGRES_CONNECTIONS, AsItIs)),
        }
    }

    pub(super) fn get_user(&self, id: i64) -> QueryResult<Option<User>> {
        on_pool!(self, |connection| users::table.find(id).select(User::as_select()).get_result(connection).optional())
    }

    pub(super) fn create_user(&self, new: NewUser) -> QueryResult<User> {
        let row = NewRow::from(new);
        on_pool!(self, |connection| diesel::insert_into(users::table)
            .values(row)
            .returning(User::as_returning())
            .get_result(connection))
    }
}

// The classic way at its best: on two cores, 1 to 10 connections to SQLite and 4 to 40 to PostgreSQL were tried. Writers to
// SQLite sleep while another one writes; with 10 of them most of the time passes so.
const SQLITE_CONNECTIONS: u32 = 2;
const POSTGRES_CONNECTIONS: u32 = 20;

fn pool<C: R2D2Connection + 'static>(
    url: &str,
    connections: u32,
    prepare: impl CustomizeConnection<C, Error>,
) -> Pool<ConnectionManager<C>> {
    let pool = Pool::builder().max_size(connections).connection_customizer(Box::new(prepare));
    // Otherwise each check-out would be a statement more.
    let pool = pool.test_on_check_out(false);
    // Dropping the database ends the connections; that is no news.
    let pool = pool.error_handler(Box::new(NopErrorHandler));
    pool.build(ConnectionManager::new(url)).expect("connections")
}

#[derive(Debug)]
struct AsItIs;

impl CustomizeConnection<PgConnection, Error> for AsItIs {}

/// The service's own settings, but for the patience: without batches, writers wait long for one another.
#[derive(Debug)]
struct Durable;

impl CustomizeConnection<SqliteConnection, Error> for Durable {
    fn on_acquire(&self, connection: &mut SqliteConnection) -> Result<(), Error> {
        let setup = "PRAGMA busy_timeout = 30000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;";
        connection.batch_execute(setup).map_err(Error::QueryError)
    }
}
