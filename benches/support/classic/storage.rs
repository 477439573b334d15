//! A pool of connections, and one statement for each call.

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, Error, NopErrorHandler, Pool, R2D2Connection};
use user_service::domain::NewUser;

use super::row::{NewRow, User, VersionedUser, users};
use super::update::Update;

/// Separate pools for reads and writes.
pub(super) struct Storage {
    readers: Connections,
    writers: Connections,
}

#[derive(Clone)]
enum Connections {
    Sqlite(Pool<ConnectionManager<SqliteConnection>>),
    Postgres(Pool<ConnectionManager<PgConnection>>),
}

/// Runs one statement on a connection of either kind of pool.
macro_rules! on_pool {
    ($connections:expr, |$connection:ident| $statement:expr) => {
        match $connections {
            Connections::Sqlite(pool) => {
                let $connection = &mut pool.get().expect("a connection");
                $statement
            }
            Connections::Postgres(pool) => {
                let $connection = &mut pool.get().expect("a connection");
                $statement
            }
        }
    };
}

// The best numbers for the classic way, of those tried on two cores: 1 to 32 connections to SQLite, with and without a
// separate one for writes, and 4 to 64 to PostgreSQL.
const SQLITE_READERS: u32 = 2;
/// With more connections, all but one would sleep until SQLite's lock is free, mostly for too long.
const SQLITE_WRITERS: u32 = 1;
const POSTGRES_CONNECTIONS: u32 = 40;

impl Storage {
    pub(super) fn open(url: &str) -> Self {
        if let Some(path) = url.strip_prefix("sqlite://") {
            let open = |connections| Connections::Sqlite(pool(path, connections, Durable));
            return Self { readers: open(SQLITE_READERS), writers: open(SQLITE_WRITERS) };
        }
        let connections = Connections::Postgres(pool(url, POSTGRES_CONNECTIONS, AsItIs));
        Self { readers: connections.clone(), writers: connections }
    }

    pub(super) fn get_user(&self, id: i64) -> QueryResult<Option<User>> {
        let user = users::table.find(id);
        on_pool!(&self.readers, |connection| user.select(User::as_select()).get_result(connection).optional())
    }

    pub(super) fn create_user(&self, new: NewUser) -> QueryResult<User> {
        let insert = diesel::insert_into(users::table).values(NewRow::from(new));
        on_pool!(&self.writers, |connection| insert.returning(User::as_returning()).get_result(connection))
    }

    pub(super) fn update_user(&self, id: i64, version: i64, new: NewUser) -> QueryResult<Option<VersionedUser>> {
        let update = Update::new(id, version, new);
        on_pool!(&self.writers, |connection| update.get_result(connection).optional())
    }

    pub(super) fn list_users(&self, after: i64, limit: i64) -> QueryResult<Vec<VersionedUser>> {
        let page = users::table.filter(users::id.gt(after)).order(users::id).limit(limit);
        on_pool!(&self.readers, |connection| page.select(VersionedUser::as_select()).load(connection))
    }
}

fn pool<C: R2D2Connection + 'static>(
    url: &str,
    connections: u32,
    prepare: impl CustomizeConnection<C, Error>,
) -> Pool<ConnectionManager<C>> {
    let pool = Pool::builder().max_size(connections).connection_customizer(Box::new(prepare));
    // Otherwise each check-out would run another statement.
    let pool = pool.test_on_check_out(false);
    // Dropping the database ends the connections; the pool need not report that.
    let pool = pool.error_handler(Box::new(NopErrorHandler));
    pool.build(ConnectionManager::new(url)).expect("connections")
}

#[derive(Debug)]
struct AsItIs;

impl CustomizeConnection<PgConnection, Error> for AsItIs {}

/// The service's settings, with a longer busy timeout: without batches, writers wait long for each other.
#[derive(Debug)]
struct Durable;

impl CustomizeConnection<SqliteConnection, Error> for Durable {
    fn on_acquire(&self, connection: &mut SqliteConnection) -> Result<(), Error> {
        let setup = "PRAGMA busy_timeout = 30000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;";
        connection.batch_execute(setup).map_err(Error::QueryError)
    }
}
