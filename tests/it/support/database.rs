use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection;
use diesel::sql_types::Text;
use diesel::{Connection as _, PgConnection, QueryableByName, RunQueryDsl, SqliteConnection, sql_query};
use tempfile::TempDir;
use url::Url;
use uuid::Uuid;

use super::program::Program;

#[derive(Clone, Copy, Debug)]
pub enum Db {
    Sqlite,
    Postgres,
}

impl Db {
    pub const BOTH: [Self; 2] = [Self::Sqlite, Self::Postgres];

    pub fn fresh(self) -> Database {
        let dir = TempDir::new().expect("a temporary folder");
        match self {
            Self::Sqlite => {
                let url = format!("sqlite://{}", dir.path().join("users.db").display());
                Database { url, dir, created: None }
            }
            Self::Postgres => {
                // A linguistic collation, as many servers have. It exposes an order that is left to the database.
                let created = Created::new("ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US'");
                Database { url: created.url.to_string(), dir, created: Some(created) }
            }
        }
    }

    /// A PostgreSQL database whose encoding has only the characters of Western Europe.
    pub fn latin1() -> Database {
        let created = Created::new("ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C'");
        let dir = TempDir::new().expect("a temporary folder");
        Database { url: created.url.to_string(), dir, created: Some(created) }
    }

    /// The folder of this database's migrations.
    pub fn migrations(self) -> PathBuf {
        let name = match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        };
        Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(name)
    }
}

/// A database for one test, dropped when the test ends.
pub struct Database {
    url: String,
    dir: TempDir,
    created: Option<Created>,
}

impl Database {
    /// An otherwise empty folder to run the program in.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL with another port of this machine, such as a proxy's.
    pub fn url_over(&self, port: u16) -> String {
        let mut url = Url::parse(&self.url).expect("a URL");
        url.set_port(Some(port)).expect("a URL with a host");
        url.into()
    }

    /// Host and port of the PostgreSQL server.
    pub fn address(&self) -> String {
        let url = &self.on_postgres().url;
        format!("{}:{}", url.host_str().expect("a host"), url.port().unwrap_or(5432))
    }

    pub fn program(&self) -> Program {
        Program::new(self.dir()).env("DATABASE_URL", &self.url)
    }

    pub fn connect(&self) -> Connection {
        match &self.created {
            Some(created) => Connection::postgres(created.url.as_str()),
            None => Connection::sqlite(self.url.trim_start_matches("sqlite://")),
        }
    }

    /// The path of the SQLite file.
    pub fn file(&self) -> PathBuf {
        self.url.trim_start_matches("sqlite://").into()
    }

    /// Ends all connections to the database except its own, and waits until they have ended.
    pub fn break_connections(&self) {
        let broken = self.connect().facts(
            "SELECT pg_terminate_backend(pid, 5000)::text AS fact FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        );
        assert!(!broken.is_empty(), "the server has connections");
    }

    /// Copies the database. This ends all connections to the original.
    pub fn copy(&self) -> Self {
        let (original, copy) = (self.on_postgres(), Created::named());
        original.close();
        original.admin().run(&format!("CREATE DATABASE {} TEMPLATE {}", copy.name, original.name));
        original.admin().run(&format!("ALTER DATABASE {} ALLOW_CONNECTIONS true", original.name));
        Self { url: copy.url.to_string(), dir: TempDir::new().expect("a temporary folder"), created: Some(copy) }
    }

    /// Swaps the names of two databases, so that the URL of this one leads to the other.
    pub fn replace_with(&self, other: &Self) {
        let (replaced, successor) = (self.on_postgres(), other.on_postgres());
        replaced.close();
        let mut admin = replaced.admin();
        let rename = |from: &str, to: &str| format!("ALTER DATABASE {from} RENAME TO {to}");
        let aside = format!("{}_aside", replaced.name);
        admin.run(&rename(&replaced.name, &aside));
        admin.run(&rename(&successor.name, &replaced.name));
        admin.run(&rename(&aside, &successor.name));
    }

    fn on_postgres(&self) -> &Created {
        self.created.as_ref().expect("a database of PostgreSQL")
    }

    /// Blocks writes to users until the returned connection is dropped. Reads continue.
    pub fn lock_writers(&self) -> Connection {
        let mut lock = self.connect();
        lock.run(match lock {
            Connection::Sqlite(_) => "BEGIN IMMEDIATE",
            Connection::Postgres(_) => "BEGIN; LOCK TABLE users IN SHARE MODE",
        });
        lock
    }
}

/// A test's own connection to the database, to inspect rows or to hold locks.
pub enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Connection {
    fn sqlite(path: &str) -> Self {
        let mut connection = SqliteConnection::establish(path).expect("the SQLite file opens");
        connection.batch_execute("PRAGMA busy_timeout = 10000").unwrap();
        Self::Sqlite(connection)
    }

    pub fn postgres(url: &str) -> Self {
        Self::Postgres(PgConnection::establish(url).unwrap_or_else(|error| panic!("PostgreSQL at {url}: {error}")))
    }

    pub fn run(&mut self, sql: &str) {
        match self {
            Self::Sqlite(connection) => connection.batch_execute(sql),
            Self::Postgres(connection) => connection.batch_execute(sql),
        }
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// The column `fact` of every row.
    pub fn facts(&mut self, sql: &str) -> Vec<String> {
        let rows: Vec<Row> = match self {
            Self::Sqlite(connection) => sql_query(sql).load(connection),
            Self::Postgres(connection) => sql_query(sql).load(connection),
        }
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
        rows.into_iter().map(|row| row.fact).collect()
    }
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    fact: String,
}

struct Created {
    name: String,
    admin: String,
    url: Url,
}

impl Created {
    fn new(options: &str) -> Self {
        let created = Self::named();
        created.admin().run(&format!("CREATE DATABASE {} TEMPLATE template0 {options}", created.name));
        created
    }

    /// Picks a new name. The database does not exist yet.
    fn named() -> Self {
        let admin = std::env::var("TEST_POSTGRES_URL").expect("TEST_POSTGRES_URL is not set: run scripts/test");
        let name = format!("user_service_test_{}", Uuid::new_v4().simple());
        let mut url = Url::parse(&admin).expect("TEST_POSTGRES_URL is a URL");
        url.set_path(&name);
        Self { name, admin, url }
    }

    fn admin(&self) -> Connection {
        Connection::postgres(&self.admin)
    }

    /// Ends all connections and refuses new ones.
    fn close(&self) {
        let mut admin = self.admin();
        admin.run(&format!("ALTER DATABASE {} ALLOW_CONNECTIONS false", self.name));
        admin.run(&format!(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{}'",
            self.name
        ));
    }
}

impl Drop for Created {
    fn drop(&mut self) {
        if let Ok(mut admin) = PgConnection::establish(&self.admin) {
            let _ = admin.batch_execute(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        }
    }
}
