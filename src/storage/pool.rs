//! The r2d2 pool.

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::ConnectionError;
use diesel::result::Error as DieselError;
use r2d2::{ManageConnection, NopErrorHandler, PooledConnection};

use super::Settings;
use super::connection::{Connection, lock_patience};
use super::database_url::DatabaseUrl;
use super::fitness::counts_against;
use super::generation::Generation;
use super::sqlite_files::{Displaced, OpenFiles, SqliteFiles};
use crate::metrics::PoolMetrics;

/// A connection that is out of the pool.
pub(super) type Pooled = PooledConnection<Manager>;

/// The pool of all lanes. It connects when a connection is first needed, so it can be made before the database is there.
#[derive(Clone)]
pub(super) struct Pool {
    connections: r2d2::Pool<Manager>,
    manager: Manager,
    metrics: PoolMetrics,
}

impl Pool {
    pub(super) fn new(settings: &Settings, metrics: &PoolMetrics) -> Self {
        let manager = Manager::new(settings);
        let connections = r2d2::Pool::builder()
            .max_size(settings.pool_size)
            .min_idle(Some(0))
            .idle_timeout(None)
            .connection_timeout(settings.connect_timeout)
            // Whoever asks for a connection and gets none says why; the pool's own threads need not say it too.
            .error_handler(Box::new(NopErrorHandler))
            .test_on_check_out(true)
            .build_unchecked(manager.clone());
        watch(&connections, metrics);
        Self { connections, manager, metrics: metrics.clone() }
    }

    /// Takes a connection, waiting at most `DB_CONNECT_TIMEOUT` for it.
    pub(super) fn check_out(&self) -> Result<Pooled, r2d2::Error> {
        self.connections.get()
    }

    /// Takes a connection for a batch: that wait is measured.
    pub(super) fn acquire(&self) -> Result<Pooled, r2d2::Error> {
        let asked = Instant::now();
        let pooled = self.check_out();
        self.metrics.acquired(asked.elapsed());
        pooled
    }

    /// Takes back a connection on which a statement failed. If it is dead, or if the failure may be its own, no other of its
    /// age is handed out again.
    pub(super) fn take_back(&self, mut pooled: Pooled, error: &DieselError) {
        // Whoever waited for a lock in vain would have done so over any connection.
        let waited = pooled.handed_out.elapsed() >= lock_patience(self.manager.patience);
        let is_suspect = !waited && counts_against(&pooled.connection, error);
        let generation = pooled.generation;
        if !pooled.connection.recover() {
            pooled.discard();
            self.manager.generation.end(generation);
        } else if is_suspect && self.manager.generation.suspect(generation) {
            pooled.discard();
        }
    }

    /// Takes back a connection that may be dead.
    pub(super) fn check(&self, mut pooled: Pooled) {
        if !pooled.connection.recover() {
            pooled.discard();
            self.manager.generation.end(pooled.generation);
        }
    }

    /// One connection was found dead, or connected to what is no longer the database: those opened until now probably are too,
    /// and are not handed out again.
    pub(super) fn suspect_all(&self) {
        self.manager.generation.end_current();
    }

    /// The same, and SQLite's are all closed before one is opened again.
    pub(super) fn start_over(&self) {
        if let Some(files) = &self.manager.files {
            files.close_first();
        }
        self.suspect_all();
    }

    /// Whether the file system lets SQLite's file be written.
    pub(super) fn may_be_written(&self) -> bool {
        self.manager.files.as_ref().is_none_or(|files| files.may_be_written())
    }

    /// Replaces a connection that is handed out by a new one.
    pub(super) fn reopen(&self, pooled: &mut Pooled) -> Result<(), diesel::r2d2::Error> {
        **pooled = self.manager.connect()?;
        Ok(())
    }

    /// Whether the database's file is where it was, and may be opened. Of connections that must be closed first, closes one that
    /// nobody uses.
    pub(super) fn check_files(&self) -> Result<(), Displaced> {
        let Some(files) = &self.manager.files else { return Ok(()) };
        if files.closes_first() {
            // It looks for a connection that may be handed out, and closes those that may not.
            drop(self.connections.try_get());
        }
        files.check_before_open()
    }
}

fn watch(connections: &r2d2::Pool<Manager>, metrics: &PoolMetrics) {
    let (idle, in_use) = (connections.clone(), connections.clone());
    let idle = move || idle.state().idle_connections;
    let in_use = move || {
        let state = in_use.state();
        state.connections.saturating_sub(state.idle_connections)
    };
    metrics.watch(connections.max_size(), idle, in_use);
}

/// What the pool keeps.
pub(super) struct Session {
    pub(super) connection: Connection,
    /// SQLite's. After the connection: it must be closed when this is dropped.
    files: Option<OpenFiles>,
    generation: u64,
    handed_out: Instant,
    discarded: bool,
}

impl Session {
    /// Whether what is committed over this connection is in the database.
    pub(super) fn check_files(&self) -> Result<(), Displaced> {
        self.files.as_ref().map_or(Ok(()), OpenFiles::check)
    }

    /// Keeps the connection from going back to the pool.
    pub(super) fn discard(&mut self) {
        self.discarded = true;
    }
}

/// Opens connections and tells the sound from the dead. Cloning gives another handle to the same generation and files.
#[derive(Clone)]
pub(super) struct Manager {
    url: DatabaseUrl,
    patience: Duration,
    generation: Arc<Generation>,
    files: Option<Arc<SqliteFiles>>,
}

impl Manager {
    fn new(settings: &Settings) -> Self {
        let files = match &settings.url {
            DatabaseUrl::Sqlite(path) => Some(SqliteFiles::new(path)),
            DatabaseUrl::Postgres(_) => None,
        };
        let (url, patience) = (settings.url.clone(), settings.deadline);
        Self { url, patience, generation: Arc::default(), files }
    }
}

impl ManageConnection for Manager {
    type Connection = Session;
    type Error = diesel::r2d2::Error;

    fn connect(&self) -> Result<Session, Self::Error> {
        let generation = self.generation.current();
        let displaced = |displaced: Displaced| ConnectionError::BadConnection(displaced.to_string());
        // A file that is gone must not be made anew, empty as it would be.
        self.files.as_ref().map_or(Ok(()), |files| files.check_before_open()).map_err(displaced)?;
        let connection = Connection::open(&self.url, self.patience)?;
        let files = self.files.as_ref().map(SqliteFiles::opened).transpose().map_err(displaced)?;
        Ok(Session { connection, files, generation, handed_out: Instant::now(), discarded: false })
    }

    /// Not a ping, which would cost a round trip a batch and run outside of every timeout: only whether the server has
    /// said goodbye, or a connection of the same age was found dead meanwhile.
    fn is_valid(&self, session: &mut Session) -> Result<(), Self::Error> {
        let trouble = if session.generation != self.generation.current() {
            "opened before the database was lost"
        } else if session.connection.is_closed() {
            "the database has closed it"
        } else {
            session.handed_out = Instant::now();
            return Ok(());
        };
        Err(ConnectionError::BadConnection(trouble.to_owned()).into())
    }

    fn has_broken(&self, session: &mut Session) -> bool {
        session.discarded || session.generation != self.generation.current()
    }
}
