//! The r2d2 pool.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use r2d2::{ManageConnection, NopErrorHandler};
use scopeguard::ScopeGuard;

use super::Settings;
use super::connect::Connector;
use super::connection::Connection;
use super::database_url::DatabaseUrl;
use super::watchdog::{Lease, Leases, OnHang};
use crate::metrics::{Metrics, PoolMetrics};

/// A connection that is out of the pool. It goes back when this is dropped.
pub(super) type Pooled = ScopeGuard<CheckedOut, fn(CheckedOut)>;

/// The pool of all lanes. It connects when a connection is first needed, so it can be made before the database is there.
#[derive(Clone)]
pub(super) struct Pool {
    connections: r2d2::Pool<Manager>,
    generation: Arc<AtomicU64>,
    leases: Leases,
    metrics: PoolMetrics,
}

impl Pool {
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn new(settings: &Settings, metrics: &Metrics) -> std::io::Result<Self> {
        let generation = Arc::new(AtomicU64::new(0));
        let limit = call_limit(settings.deadline);
        let leases = Leases::new(limit, Arc::clone(&generation));
        if matches!(settings.url, DatabaseUrl::Postgres(_)) {
            leases.watch()?;
        }
        let connector = Connector::new(settings, limit, metrics.hung_calls("connect"));
        let manager = Manager { connector, generation: Arc::clone(&generation) };
        let connections = r2d2::Pool::builder()
            .max_size(settings.pool_size)
            .min_idle(Some(0))
            .idle_timeout(None)
            .connection_timeout(settings.connect_timeout)
            // Whoever asks for a connection and gets none says why; the pool's own threads need not say it too.
            .error_handler(Box::new(NopErrorHandler))
            .test_on_check_out(true)
            .build_unchecked(manager);
        let metrics = metrics.pool().clone();
        watch(&connections, &metrics);
        Ok(Self { connections, generation, leases, metrics })
    }

    /// Takes a connection, waiting at most `DB_CONNECT_TIMEOUT` for it. Should a call on it hang, the caller learns so by
    /// `on_hang`, on another thread.
    pub(super) fn check_out(&self, on_hang: &OnHang) -> Result<Pooled, r2d2::Error> {
        loop {
            let mut place = self.connections.get()?;
            // Those that lie in the pool are never empty.
            let Some(session) = place.take() else { continue };
            let lease = self.leases.begin(place, session.connection.may_hang(), on_hang);
            return Ok(scopeguard::guard(CheckedOut { session, lease }, CheckedOut::give_back));
        }
    }

    /// Takes a connection for a batch: that wait is measured.
    pub(super) fn acquire(&self, on_hang: &OnHang) -> Result<Pooled, r2d2::Error> {
        let asked = Instant::now();
        let pooled = self.check_out(on_hang);
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

    /// How many connections are in use, without those whose calls were abandoned.
    pub(super) fn in_use(&self) -> usize {
        self.leases.count()
    }

    /// How many abandoned calls have not returned.
    pub(super) fn hung(&self) -> usize {
        self.leases.hung()
    }
}

/// How long a call to the database may take before it counts as hung. By then its callers have given up long since: they wait
/// for `DB_DEADLINE`, and so does the server with a statement.
fn call_limit(deadline: Duration) -> Duration {
    const LEAST: Duration = Duration::from_secs(1);
    deadline.saturating_mul(2).max(LEAST)
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

/// A connection and its lease.
pub(super) struct CheckedOut {
    session: Session,
    lease: Lease,
}

impl CheckedOut {
    /// Lets the next call take so long.
    pub(super) fn may_take(&self, time: Duration) {
        self.lease.may_take(time);
    }

    /// Back to the pool, unless it is of no more use, or was abandoned.
    fn give_back(self) {
        let Self { session, lease } = self;
        let session = if session.discarded {
            // Closed while the lease still runs: a farewell is a call, too.
            drop(session);
            None
        } else {
            Some(session)
        };
        // Without a session the place is given up.
        if let Some(mut place) = lease.end() {
            *place = session;
        }
    }
}

impl Deref for CheckedOut {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl DerefMut for CheckedOut {
    fn deref_mut(&mut self) -> &mut Session {
        &mut self.session
    }
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
    connector: Connector,
    generation: Arc<AtomicU64>,
}

impl ManageConnection for Manager {
    /// Empty while the connection is out.
    type Connection = Option<Session>;
    type Error = diesel::r2d2::Error;

    fn connect(&self) -> Result<Option<Session>, Self::Error> {
        let generation = self.generation.load(Ordering::Relaxed);
        let connection = self.connector.connect()?;
        Ok(Some(Session { connection, generation, discarded: false }))
    }

    /// Not a ping, which would cost a round trip a batch and run outside of every timeout: only whether the server has
    /// said goodbye, or a connection of the same age was found dead meanwhile.
    fn is_valid(&self, session: &mut Option<Session>) -> Result<(), Self::Error> {
        let trouble = match session {
            None => "abandoned",
            Some(session) if session.generation != self.generation.load(Ordering::Relaxed) => {
                "opened before the database was lost"
            }
            Some(session) => {
                if !session.connection.is_closed() {
                    return Ok(());
                }
                "the database has closed it"
            }
        };
        Err(diesel::ConnectionError::BadConnection(trouble.to_owned()).into())
    }

    fn has_broken(&self, session: &mut Option<Session>) -> bool {
        session.is_none()
    }
}
