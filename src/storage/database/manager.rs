//! Opens connections for the pool, and tells the sound from the dead.

use std::sync::Arc;
use std::time::Instant;

use diesel::ConnectionError;
use r2d2::ManageConnection;

use super::connect::Connector;
use super::connection::Connection;
use super::database_url::DatabaseUrl;
use super::generation::Generation;
use super::settings::Settings;
use super::sqlite_files::{Displaced, OpenFiles, SqliteFiles};

/// What the pool keeps.
pub(crate) struct Session {
    pub(crate) connection: Connection,
    /// SQLite's. After the connection: it must be closed when this is dropped.
    files: Option<OpenFiles>,
    pub(super) generation: u64,
    pub(super) handed_out: Instant,
    pub(super) discarded: bool,
}

impl Session {
    /// Whether what is committed over this connection is in the database.
    pub(crate) fn check_files(&self) -> Result<(), Displaced> {
        self.files.as_ref().map_or(Ok(()), OpenFiles::check)
    }

    /// Keeps the connection from going back to the pool.
    pub(crate) fn discard(&mut self) {
        self.discarded = true;
    }
}

/// Opens connections and tells the sound from the dead. Cloning gives another handle to the same generation and files.
#[derive(Clone)]
pub(super) struct Manager {
    pub(super) connector: Arc<Connector>,
    pub(super) generation: Arc<Generation>,
    /// SQLite's.
    pub(super) files: Option<Arc<SqliteFiles>>,
}

impl Manager {
    pub(super) fn new(settings: &Settings, connector: Connector) -> Self {
        let files = match &settings.url {
            DatabaseUrl::Sqlite(path) => Some(SqliteFiles::new(path)),
            DatabaseUrl::Postgres(_) => None,
        };
        Self { connector: Arc::new(connector), generation: Arc::default(), files }
    }

    pub(super) fn open(&self) -> Result<Session, diesel::r2d2::Error> {
        let generation = self.generation.current();
        let displaced = |displaced: Displaced| ConnectionError::BadConnection(displaced.to_string());
        // A file that is gone must not be made anew, empty as it would be.
        self.files.as_ref().map_or(Ok(()), |files| files.check_before_open()).map_err(displaced)?;
        let connection = self.connector.connect()?;
        let files = self.files.as_ref().map(SqliteFiles::opened).transpose().map_err(displaced)?;
        Ok(Session { connection, files, generation, handed_out: Instant::now(), discarded: false })
    }
}

impl ManageConnection for Manager {
    /// Empty while the connection is out.
    type Connection = Option<Session>;
    type Error = diesel::r2d2::Error;

    fn connect(&self) -> Result<Option<Session>, Self::Error> {
        self.open().map(Some)
    }

    /// Not a ping, which would cost a round trip a batch and run outside of every timeout: only whether the server has
    /// said goodbye, or a connection of the same age was found dead meanwhile.
    fn is_valid(&self, session: &mut Option<Session>) -> Result<(), Self::Error> {
        let trouble = match session {
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
        Err(ConnectionError::BadConnection(trouble.to_owned()).into())
    }

    fn has_broken(&self, session: &mut Option<Session>) -> bool {
        session.as_ref().is_none_or(|session| session.generation != self.generation.current())
    }
}
