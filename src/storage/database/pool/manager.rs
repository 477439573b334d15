//! Opens connections for r2d2, and decides which may be handed out again.

use std::sync::Arc;
use std::time::Instant;

use diesel::ConnectionError;
use r2d2::ManageConnection;

use super::connector::Connector;
use super::generation::Generation;
use super::sqlite_files::{Displaced, OpenFiles, SqliteFiles};
use crate::storage::database::connection::Connection;
use crate::storage::database::settings::Settings;
use crate::storage::database::settings::database_url::DatabaseUrl;
use crate::storage::user_cache::{PostgresCache, UserCache};

/// A connection, and what the pool knows about it.
pub(crate) struct Session {
    pub(crate) connection: Connection,
    /// For SQLite. Declared after the connection, so that the connection is closed before this is dropped.
    files: Option<OpenFiles>,
    pub(super) generation: u64,
    pub(super) handed_out: Instant,
    pub(super) discarded: bool,
}

impl Session {
    /// Whether commits over this connection reach the database's files.
    pub(crate) fn check_files(&self) -> Result<(), Displaced> {
        self.files.as_ref().map_or(Ok(()), OpenFiles::check)
    }

    /// Keeps the connection from returning to the pool.
    pub(crate) fn discard(&mut self) {
        self.discarded = true;
    }
}

/// Opens and checks connections. Clones share the generation and the files.
#[derive(Clone)]
pub(super) struct Manager {
    pub(super) connector: Arc<Connector>,
    pub(super) generation: Arc<Generation>,
    /// For SQLite.
    pub(super) files: Option<Arc<SqliteFiles>>,
    /// For PostgreSQL.
    cache: Option<PostgresCache>,
}

impl Manager {
    pub(super) fn new(settings: &Settings, connector: Connector, cache: Option<UserCache>) -> Self {
        let (sqlite, postgres) = match cache {
            Some(UserCache::Sqlite(cache)) => (Some(cache), None),
            Some(UserCache::Postgres(cache)) => (None, Some(cache)),
            None => (None, None),
        };
        let files = match &settings.url {
            DatabaseUrl::Sqlite(path) => Some(SqliteFiles::new(path, sqlite)),
            DatabaseUrl::Postgres(_) => None,
        };
        Self { connector: Arc::new(connector), generation: Arc::default(), files, cache: postgres }
    }

    pub(super) fn open(&self) -> Result<Session, diesel::r2d2::Error> {
        let generation = self.generation.current();
        let displaced = |displaced: Displaced| ConnectionError::BadConnection(displaced.to_string());
        // SQLite would replace a missing file by an empty one.
        self.files.as_ref().map_or(Ok(()), |files| files.check_before_open()).map_err(displaced)?;
        let mut connection = self.connector.connect()?;
        match &mut connection {
            Connection::Sqlite(_, cache) => *cache = self.files.as_ref().and_then(|files| files.cache().cloned()),
            Connection::Postgres(_, cache) => cache.clone_from(&self.cache),
        }
        let files = self.files.as_ref().map(SqliteFiles::opened).transpose().map_err(displaced)?;
        Ok(Session { connection, files, generation, handed_out: Instant::now(), discarded: false })
    }
}

impl ManageConnection for Manager {
    /// `None` while the connection is checked out.
    type Connection = Option<Session>;
    type Error = diesel::r2d2::Error;

    fn connect(&self) -> Result<Option<Session>, Self::Error> {
        self.open().map(Some)
    }

    /// Not a ping, which would cost a round trip per batch and run outside every timeout. Only checks whether the
    /// server has closed the connection, and whether its generation has ended.
    fn is_valid(&self, session: &mut Option<Session>) -> Result<(), Self::Error> {
        let fault = match session {
            None => "abandoned",
            Some(session) if session.generation != self.generation.current() => "opened before the database was lost",
            Some(session) => {
                if !session.connection.is_closed() {
                    session.handed_out = Instant::now();
                    return Ok(());
                }
                "the database has closed it"
            }
        };
        Err(ConnectionError::BadConnection(fault.to_owned()).into())
    }

    fn has_broken(&self, session: &mut Option<Session>) -> bool {
        session.as_ref().is_none_or(|session| session.generation != self.generation.current())
    }
}
