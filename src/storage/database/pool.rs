//! The r2d2 pool.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::result::Error as DieselError;
use r2d2::NopErrorHandler;
use scopeguard::ScopeGuard;

use super::connect::Connector;
use super::connection::lock_patience;
use super::database_url::DatabaseUrl;
use super::fitness::counts_against;
use super::manager::{Manager, Session};
use super::settings::Settings;
use super::sqlite_files::Displaced;
use super::watchdog::{Lease, Leases, OnHang};
use crate::metrics::{Metrics, PoolMetrics};

/// A connection that is out of the pool. It goes back when this is dropped.
pub(crate) type Pooled = ScopeGuard<CheckedOut, fn(CheckedOut)>;

/// The pool of all lanes. It connects when a connection is first needed, so it can be made before the database is there.
#[derive(Clone)]
pub(crate) struct Pool {
    connections: r2d2::Pool<Manager>,
    manager: Manager,
    leases: Leases,
    /// How long a failed statement may have waited for a lock.
    lock_patience: Duration,
    metrics: PoolMetrics,
}

impl Pool {
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn new(settings: &Settings, metrics: &Metrics) -> std::io::Result<Self> {
        let limit = call_limit(settings.deadline);
        let manager = Manager::new(settings, Connector::new(settings, limit, metrics.hung_calls("connect")));
        let leases = Leases::new(limit, Arc::clone(&manager.generation));
        if matches!(settings.url, DatabaseUrl::Postgres(_)) {
            leases.watch()?;
        }
        let connections = r2d2::Pool::builder()
            .max_size(settings.pool_size)
            .min_idle(Some(0))
            .idle_timeout(None)
            .connection_timeout(settings.connect_timeout)
            // Whoever asks for a connection and gets none says why; the pool's own threads need not say it too.
            .error_handler(Box::new(NopErrorHandler))
            .test_on_check_out(true)
            .build_unchecked(manager.clone());
        let metrics = metrics.pool().clone();
        watch(&connections, &metrics);
        Ok(Self { connections, manager, leases, lock_patience: lock_patience(settings.deadline), metrics })
    }

    /// Takes a connection, waiting at most `DB_CONNECT_TIMEOUT` for it. Should a call on it hang, the caller learns so by
    /// `on_hang`, on another thread.
    pub(crate) fn check_out(&self, on_hang: &OnHang) -> Result<Pooled, r2d2::Error> {
        loop {
            let mut place = self.connections.get()?;
            // Those that lie in the pool are never empty.
            let Some(session) = place.take() else { continue };
            let lease = self.leases.begin(place, session.connection.may_hang(), on_hang);
            return Ok(scopeguard::guard(CheckedOut { session, lease }, CheckedOut::give_back));
        }
    }

    /// Takes a connection for a batch: that wait is measured.
    pub(crate) fn acquire(&self, on_hang: &OnHang) -> Result<Pooled, r2d2::Error> {
        let asked = Instant::now();
        let pooled = self.check_out(on_hang);
        self.metrics.acquired(asked.elapsed());
        pooled
    }

    /// Takes back a connection on which a statement failed. If it is dead, or if the failure may be its own, no other of its
    /// age is handed out again.
    pub(crate) fn take_back(&self, mut pooled: Pooled, error: &DieselError) {
        // Whoever waited for a lock in vain would have done so over any connection.
        let waited = pooled.handed_out.elapsed() >= self.lock_patience;
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
    pub(crate) fn check(&self, mut pooled: Pooled) {
        if !pooled.connection.recover() {
            pooled.discard();
            self.manager.generation.end(pooled.generation);
        }
    }

    /// One connection was found dead, or connected to what is no longer the database: those opened until now probably are too,
    /// and are not handed out again.
    pub(crate) fn suspect_all(&self) {
        self.manager.generation.end_current();
    }

    /// The same, and SQLite's are all closed before one is opened again.
    pub(crate) fn start_over(&self) {
        if let Some(files) = &self.manager.files {
            files.close_first();
        }
        self.suspect_all();
    }

    /// Whether the file system lets SQLite's file be written.
    pub(crate) fn may_be_written(&self) -> bool {
        self.manager.files.as_ref().is_none_or(|files| files.may_be_written())
    }

    /// Replaces a connection that is handed out by a new one.
    pub(crate) fn reopen(&self, pooled: &mut Pooled) -> Result<(), diesel::r2d2::Error> {
        pooled.may_take(self.manager.connector.limit());
        ***pooled = self.manager.open()?;
        pooled.may_take(self.leases.limit());
        Ok(())
    }

    /// Whether the database's file is where it was, and may be opened. Of connections that must be closed first, closes one that
    /// nobody uses.
    pub(crate) fn check_files(&self) -> Result<(), Displaced> {
        let Some(files) = &self.manager.files else { return Ok(()) };
        if files.follow_mode() {
            self.start_over();
        }
        if files.closes_first() {
            // It looks for a connection that may be handed out, and closes those that may not.
            drop(self.connections.try_get());
        }
        files.check_before_open()
    }

    /// How many connections are in use, without those whose calls were abandoned.
    pub(crate) fn in_use(&self) -> usize {
        self.leases.count()
    }

    /// How many abandoned calls have not returned.
    pub(crate) fn hung(&self) -> usize {
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
pub(crate) struct CheckedOut {
    session: Session,
    lease: Lease,
}

impl CheckedOut {
    /// Lets the next call take so long.
    pub(crate) fn may_take(&self, time: Duration) {
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
