//! One connection to either database.
//!
//! Not Diesel's `MultiConnection`: it knows neither ON CONFLICT nor `returning`, and its row type costs time on every
//! statement. With [`on_backend`] each statement is written once and type-checked against both concrete connections.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use diesel::connection::{AnsiTransactionManager, SimpleConnection as _, TransactionManager as _};
use diesel::pg::PgConnection;
use diesel::r2d2::R2D2Connection as _;
use diesel::result::{DatabaseErrorKind as Kind, Error as DieselError};
use diesel::sqlite::SqliteConnection;
use diesel::{Connection as _, ConnectionError, ConnectionResult, QueryResult};

use super::lane::BatchError;

/// Where the users are.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file, made when it is not there.
    Sqlite(PathBuf),
    /// A libpq connection URI, which may hold a password.
    Postgres(String),
}

impl DatabaseUrl {
    /// Parses `sqlite://<path>`, `postgres://...` or `postgresql://...`.
    ///
    /// # Errors
    /// What it takes, in words for the operator.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if let Some(path) = text.strip_prefix("sqlite://") {
            // Each connection to `:memory:` would be a database of its own.
            return match path {
                "" | ":memory:" => Err("a file after sqlite://"),
                path => Ok(Self::Sqlite(path.into())),
            };
        }
        if let Some(rest) = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://")) {
            if !is_escaped(rest) {
                return Err("a URI in which a password's own @ / ? # % and spaces are written %40 %2F %3F %23 %25 %20");
            }
            return Ok(Self::Postgres(text.to_owned()));
        }
        Err("sqlite://<file>, postgres://... or postgresql://...")
    }
}

/// Whether every character that would end a password early is escaped. libpq takes some of these for the host, or for a
/// mistake, and then shows them in its error.
fn is_escaped(rest: &str) -> bool {
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let percent = rest.split('%').skip(1);
    authority.matches('@').count() <= 1
        && !path.contains(['@', '#'])
        && !rest.contains(|character: char| character.is_whitespace() || character.is_control())
        && percent.map(|after| after.get(..2)).all(|code| code.is_some_and(|code| u8::from_str_radix(code, 16).is_ok()))
}

/// Without secrets.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(text) => f.write_str(&mask(text)),
        }
    }
}

/// As [`fmt::Display`]: a debug print must not tell more.
impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The URI without its password and without its parameters, which may hold one too. What does not parse as a URL (a
/// list of hosts does not) is not shown at all.
fn mask(text: &str) -> String {
    let Ok(mut url) = url::Url::parse(text) else {
        return "postgres://***".to_owned();
    };
    if url.password().is_some() && url.set_password(Some("***")).is_err() {
        return "postgres://***".to_owned();
    }
    if url.query().is_some() {
        url.set_query(Some("***"));
    }
    url.set_fragment(None);
    url.to_string()
}

/// An open connection.
pub(super) enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// Runs the same Diesel code on whichever connection it is. A macro because the two have different types and Diesel's
/// bounds for code that is generic over them would be longer than the code.
macro_rules! on_backend {
    ($connection:expr, |$concrete:ident| $body:expr) => {
        match $connection {
            $crate::storage::connection::Connection::Sqlite($concrete) => $body,
            $crate::storage::connection::Connection::Postgres($concrete) => $body,
        }
    };
}
pub(super) use on_backend;

impl Connection {
    /// Connects. No statement of the new connection waits longer than `patience` for its answer or for a lock.
    pub(super) fn open(url: &DatabaseUrl, patience: Duration) -> ConnectionResult<Self> {
        match url {
            DatabaseUrl::Sqlite(path) => open_sqlite(path, patience).map(Self::Sqlite),
            DatabaseUrl::Postgres(url) => open_postgres(url, patience).map(Self::Postgres),
        }
    }

    /// Begins a transaction that will write. On SQLite it takes the write lock at once: a transaction that reads first
    /// and asks for it later can fail halfway.
    pub(super) fn begin_write(&mut self) -> QueryResult<()> {
        match self {
            Self::Sqlite(sqlite) => AnsiTransactionManager::begin_transaction_sql(sqlite, "BEGIN IMMEDIATE"),
            Self::Postgres(postgres) => AnsiTransactionManager::begin_transaction(postgres),
        }
    }

    /// Begins a transaction that will only read.
    pub(super) fn begin_read(&mut self) -> QueryResult<()> {
        on_backend!(self, |connection| AnsiTransactionManager::begin_transaction(connection))
    }

    /// Commits.
    ///
    /// # Errors
    /// Says whether it is known that nothing was committed, or not known.
    pub(super) fn commit(&mut self) -> Result<(), BatchError> {
        let result = on_backend!(self, |connection| AnsiTransactionManager::commit_transaction(connection));
        result.map_err(|error| match (&self, &error) {
            // SQLite writes at COMMIT, so this is when it finds no room; Diesel has rolled back by now.
            (Self::Sqlite(_), DieselError::DatabaseError(Kind::Unknown, cause))
                if cause.message().ends_with("full") =>
            {
                BatchError::NotExecuted(error)
            }
            // The server itself said that it refused.
            (Self::Postgres(_), DieselError::DatabaseError(Kind::SerializationFailure | Kind::UniqueViolation, _)) => {
                BatchError::NotExecuted(error)
            }
            _ => BatchError::OutcomeUnknown(error),
        })
    }

    /// After a failed batch: ends its transaction. False when the connection is of no more use.
    pub(super) fn recover(&mut self) -> bool {
        on_backend!(self, |connection| {
            // There may be no transaction left to roll back; the ping tells what matters.
            let _ = AnsiTransactionManager::rollback_transaction(connection);
            !connection.is_broken() && connection.ping().is_ok()
        })
    }

    /// Asks the database for a sign of life.
    pub(super) fn ping(&mut self) -> QueryResult<()> {
        on_backend!(self, |connection| connection.ping())
    }
}

fn open_sqlite(path: &std::path::Path, patience: Duration) -> ConnectionResult<SqliteConnection> {
    if let Some(folder) = path.parent() {
        let cause = |error: std::io::Error| ConnectionError::BadConnection(format!("{}: {error}", folder.display()));
        std::fs::create_dir_all(folder).map_err(cause)?;
    }
    let mut connection = SqliteConnection::establish(&path.to_string_lossy())?;
    // The busy timeout comes first: switching to WAL takes a lock too.
    let setup = format!(
        "PRAGMA busy_timeout = {};
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;",
        lock_patience(patience).as_millis()
    );
    connection.batch_execute(&setup).map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(connection)
}

/// A lock that somebody holds must leave time to say so, and to try the rest of the batch without the message that waits
/// for it.
fn lock_patience(patience: Duration) -> Duration {
    (patience / 4).max(Duration::from_millis(1))
}

/// What libpq should do unless the URI says otherwise: notice within seconds that the server's machine is gone.
const LIBPQ_DEFAULTS: [(&str, &str); 6] = [
    ("application_name", "user-service"),
    ("connect_timeout", "2"),
    ("keepalives_idle", "10"),
    ("keepalives_interval", "3"),
    ("keepalives_count", "3"),
    ("tcp_user_timeout", "10000"),
];

fn open_postgres(url: &str, patience: Duration) -> ConnectionResult<PgConnection> {
    let mut connection = PgConnection::establish(&with_defaults(url))?;
    let setup = format!(
        "SET statement_timeout = {0}; SET idle_in_transaction_session_timeout = {0}; SET lock_timeout = {1};",
        patience.as_millis(),
        lock_patience(patience).as_millis()
    );
    connection.batch_execute(&setup).map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(connection)
}

fn with_defaults(url: &str) -> String {
    let mut url = url.to_owned();
    for (name, value) in LIBPQ_DEFAULTS {
        let query = url.split_once('?').map(|(_, query)| query);
        if !query.unwrap_or_default().split('&').any(|pair| pair.split('=').next() == Some(name)) {
            let separator = if query.is_some() { '&' } else { '?' };
            url.extend([separator]);
            url.extend([name, "=", value]);
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_it_takes() {
        assert_eq!(DatabaseUrl::parse("sqlite://data/users.db"), Ok(DatabaseUrl::Sqlite("data/users.db".into())));
        assert_eq!(DatabaseUrl::parse("sqlite:///data/users.db"), Ok(DatabaseUrl::Sqlite("/data/users.db".into())));
        assert!(DatabaseUrl::parse("postgresql:///users").is_ok());
        for password in ["p@ss", "p/ss", "p?ss", "p#ss", "p ss", "p%ss", "p%4"] {
            assert!(DatabaseUrl::parse(&format!("postgres://ann:{password}@db/users")).is_err(), "{password}");
        }
        assert!(DatabaseUrl::parse("postgres://ann:p%40%2Fss@db:5432/users?sslmode=require").is_ok());
        for text in ["", "mysql://localhost", "sqlite://", "sqlite://:memory:", "users.db"] {
            assert!(DatabaseUrl::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn never_shows_a_password() {
        for (url, shown) in [
            ("postgres://ann:s3cret@db:5432/users", "postgres://ann:***@db:5432/users"),
            ("postgres://db/users?password=s3cret", "postgres://db/users?***"),
            ("postgres://ann:s3cret@one:1,two:2/users", "postgres://***"),
        ] {
            let url = DatabaseUrl::parse(url).unwrap();
            assert_eq!((url.to_string().as_str(), format!("{url:?}").as_str()), (shown, shown));
        }
    }

    #[test]
    fn adds_only_what_the_uri_does_not_say() {
        let url = with_defaults("postgres://db/users?connect_timeout=9");
        assert!(url.starts_with("postgres://db/users?connect_timeout=9&application_name=user-service&"), "{url}");
        assert_eq!(url.matches("connect_timeout").count(), 1);
        assert!(with_defaults("postgres://db").starts_with("postgres://db?application_name=user-service&"));
    }
}
