//! The r2d2 pool.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use r2d2::{ManageConnection, NopErrorHandler, PooledConnection};

use super::Settings;
use super::connection::Connection;
use super::database_url::DatabaseUrl;
use crate::metrics::PoolMetrics;

/// A connection that is out of the pool.
pub(super) type Pooled = PooledConnection<Manager>;

/// The pool of all lanes. It connects when a connection is first needed, so it can be made before the database is there.
#[derive(Clone)]
pub(super) struct Pool {
    connections: r2d2::Pool<Manager>,
    generation: Arc<AtomicU64>,
    metrics: PoolMetrics,
}

impl Pool {
    pub(super) fn new(settings: &Settings, metrics: &PoolMetrics) -> Self {
        let generation = Arc::new(AtomicU64::new(0));
        let manager =
            Manager { url: settings.url.clone(), patience: settings.deadline, generation: Arc::clone(&generation) };
        let connections = r2d2::Pool::builder()
            .max_size(settings.pool_size)
            .min_idle(Some(0))
            .idle_timeout(None)
            .connection_timeout(settings.connect_timeout)
            // Whoever asks for a connection and gets none says why; the pool's own threads need not say it too.
            .error_handler(Box::new(NopErrorHandler))
            .test_on_check_out(true)
            .build_unchecked(manager);
        watch(&connections, metrics);
        Self { connections, generation, metrics: metrics.clone() }
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

    /// Takes back a connection after a failure: if it is dead, no other of its age is handed out again.
    pub(super) fn check(&self, mut pooled: Pooled) {
        if !pooled.connection.recover() {
            pooled.discard();
            self.suspect_all();
        }
    }

    /// One connection was found dead: those opened until now probably are too, and are not handed out again.
    pub(super) fn suspect_all(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
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
    generation: u64,
    discarded: bool,
}

impl Session {
    /// Keeps the connection from going back to the pool.
    pub(super) fn discard(&mut self) {
        self.discarded = true;
    }
}

/// Opens connections and tells the sound from the dead.
pub(super) struct Manager {
    url: DatabaseUrl,
    patience: Duration,
    generation: Arc<AtomicU64>,
}

impl ManageConnection for Manager {
    type Connection = Session;
    type Error = diesel::r2d2::Error;

    fn connect(&self) -> Result<Session, Self::Error> {
        let generation = self.generation.load(Ordering::Relaxed);
        let connection = Connection::open(&self.url, self.patience)?;
        Ok(Session { connection, generation, discarded: false })
    }

    /// Not a ping, which would cost a round trip a batch and run outside of every timeout: only whether the server has
    /// said goodbye, or a connection of the same age was found dead meanwhile.
    fn is_valid(&self, session: &mut Session) -> Result<(), Self::Error> {
        let trouble = if session.generation != self.generation.load(Ordering::Relaxed) {
            "opened before the database was lost"
        } else if session.connection.is_closed() {
            "the database has closed it"
        } else {
            return Ok(());
        };
        Err(diesel::ConnectionError::BadConnection(trouble.to_owned()).into())
    }

    fn has_broken(&self, session: &mut Session) -> bool {
        session.discarded
    }
}
