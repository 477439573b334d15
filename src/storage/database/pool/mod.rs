//! The r2d2 pool.
//!
//! The pool is built unconnected and connects on demand, so that the service can start before its database. The check
//! at every check-out is not a ping, which would cost a round trip per batch and run outside every timeout. It lets
//! libpq look at its socket, where the server's farewell lies if it closed an idle connection.
//!
//! The check also compares **generations**. When one connection is found dead, the generation of the pool rises, and
//! connections opened before are not handed out again. One lost connection is enough to replace them all; its batch is
//! tried again on new ones.

mod cache_files;
mod connection_faults;
mod connector;
mod file_id;
mod generation;
mod manager;
pub(crate) mod sqlite_files;
mod watchdog;

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::result::Error as DieselError;
use r2d2::NopErrorHandler;
use scopeguard::ScopeGuard;

use super::connection::locks::lock_timeout;
use super::settings::Settings;
use super::settings::database_url::DatabaseUrl;
use super::workers::abandoned_calls::OnHang;
use crate::metrics::{Metrics, PoolMetrics};
use crate::storage::user_cache::UserCache;
use connection_faults::suspects_connection;
use connector::Connector;
use manager::{Manager, Session};
use sqlite_files::Displaced;
use watchdog::{Lease, Leases};

/// A connection that is checked out. It returns to the pool when this is dropped.
pub(crate) type Pooled = ScopeGuard<CheckedOut, fn(CheckedOut)>;

/// The pool that all lanes share. It connects on demand, so it can be built before the database can be reached.
#[derive(Clone)]
pub(crate) struct Pool {
    connections: r2d2::Pool<Manager>,
    manager: Manager,
    leases: Leases,
    /// How long a failed statement may have waited for a lock.
    lock_timeout: Duration,
    metrics: PoolMetrics,
}

impl Pool {
    /// # Errors
    /// When the system provides no thread.
    pub(crate) fn new(settings: &Settings, metrics: &Metrics, cache: Option<UserCache>) -> std::io::Result<Self> {
        let limit = call_limit(settings.deadline);
        let connector = Connector::new(settings, limit, metrics.hung_calls("connect"));
        let manager = Manager::new(settings, connector, cache);
        let leases = Leases::new(limit, Arc::clone(&manager.generation));
        if matches!(settings.url, DatabaseUrl::Postgres(_)) {
            leases.watch()?;
        }
        let connections = r2d2::Pool::builder()
            .max_size(settings.pool_size)
            .min_idle(Some(0))
            .idle_timeout(None)
            .connection_timeout(settings.connect_timeout)
            // Callers that get no connection report why. The pool's own threads need not report it too.
            .error_handler(Box::new(NopErrorHandler))
            .test_on_check_out(true)
            .build_unchecked(manager.clone());
        let metrics = metrics.pool().clone();
        watch(&connections, &metrics);
        Ok(Self { connections, manager, leases, lock_timeout: lock_timeout(settings.deadline), metrics })
    }

    /// Checks out a connection; waits for it for at most `DB_CONNECT_TIMEOUT`. `on_hang` runs on another thread if a
    /// call on the connection hangs.
    pub(crate) fn check_out(&self, on_hang: &OnHang) -> Result<Pooled, r2d2::Error> {
        loop {
            let mut slot = self.connections.get()?;
            // Slots in the pool always hold a session.
            let Some(session) = slot.take() else { continue };
            let lease = self.leases.begin(slot, session.connection.may_hang(), on_hang);
            return Ok(scopeguard::guard(CheckedOut { session, lease }, CheckedOut::check_in));
        }
    }

    /// Checks out a connection for a batch, and measures the wait.
    pub(crate) fn acquire(&self, on_hang: &OnHang) -> Result<Pooled, r2d2::Error> {
        let asked = Instant::now();
        let pooled = self.check_out(on_hang);
        self.metrics.acquired(asked.elapsed());
        pooled
    }

    /// Takes back a connection on which a statement failed. If it is dead or may be at fault, its generation ends.
    pub(crate) fn check_in_failed(&self, pooled: Pooled, error: &DieselError) {
        // After a lock timeout the connection is not at fault: any other would have waited as long.
        let waited_for_lock = pooled.handed_out.elapsed() >= self.lock_timeout;
        let is_suspect = !waited_for_lock && suspects_connection(&pooled.connection, error);
        self.check_in_suspect(pooled, is_suspect);
    }

    /// Takes back a connection on which migrating failed. It may be at fault: the error of a migration does not tell
    /// which error of the database was its cause.
    pub(crate) fn check_in_unmigrated(&self, pooled: Pooled) {
        self.check_in_suspect(pooled, true);
    }

    /// Takes back a connection that may be dead. If it is, its generation ends.
    pub(crate) fn check_in(&self, pooled: Pooled) {
        self.check_in_suspect(pooled, false);
    }

    fn check_in_suspect(&self, mut pooled: Pooled, is_suspect: bool) {
        let generation = pooled.generation;
        if !pooled.connection.recover() {
            pooled.discard();
            self.manager.generation.end(generation);
        } else if is_suspect && self.manager.generation.suspect(generation) {
            pooled.discard();
        }
    }

    /// Ends the current generation: one connection is dead, or leads to what is no longer the database, so the others
    /// probably do too.
    pub(crate) fn end_generation(&self) {
        self.manager.generation.end_current();
    }

    /// Ends the current generation. On SQLite all connections are closed before one is opened again.
    pub(crate) fn reopen_all(&self) {
        if let Some(files) = &self.manager.files {
            files.close_first();
        }
        self.end_generation();
    }

    /// Lets the user cache see commits, if there is one. The database must be as requests need it.
    pub(crate) fn tie_cache(&self) {
        if let Some(files) = &self.manager.files {
            files.tie_cache(|| self.manager.connector.connect());
        }
    }

    /// Whether the file system permits writing to SQLite's files.
    pub(crate) fn files_are_writable(&self) -> bool {
        self.manager.files.as_ref().is_none_or(|files| files.are_writable())
    }

    /// Replaces a connection that is checked out by a new one.
    pub(crate) fn reopen(&self, pooled: &mut Pooled) -> Result<(), diesel::r2d2::Error> {
        pooled.set_call_limit(self.manager.connector.limit());
        ***pooled = self.manager.open()?;
        pooled.set_call_limit(self.leases.limit());
        Ok(())
    }

    /// Whether SQLite's file is in place and may be opened. If connections must be closed first, closes an idle one.
    pub(crate) fn check_files(&self) -> Result<(), Displaced> {
        let Some(files) = &self.manager.files else { return Ok(()) };
        if files.follow_mode() {
            self.reopen_all();
        }
        if files.closes_first() {
            // Looking for a usable connection closes those whose generation has ended.
            drop(self.connections.try_get());
        }
        files.check_before_open()
    }

    /// How many connections are in use, without abandoned ones.
    pub(crate) fn in_use(&self) -> usize {
        self.leases.count()
    }

    /// How many abandoned calls have not returned.
    pub(crate) fn abandoned(&self) -> usize {
        self.leases.abandoned()
    }
}

/// How long a call to the database may take before it counts as hung. By then its callers have given up and the server
/// would have ended the statement: both do so after `DB_DEADLINE`.
fn call_limit(deadline: Duration) -> Duration {
    const MIN: Duration = Duration::from_secs(1);
    deadline.saturating_mul(2).max(MIN)
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
    pub(crate) fn set_call_limit(&self, limit: Duration) {
        self.lease.set_call_limit(limit);
    }

    /// Returns the connection to the pool, unless it was discarded or abandoned.
    fn check_in(self) {
        let Self { session, lease } = self;
        let session = if session.discarded {
            // Closes the connection while the lease still runs: closing is a call that may hang, too.
            drop(session);
            None
        } else {
            Some(session)
        };
        // Without a session, r2d2 frees the slot.
        if let Some(mut slot) = lease.end() {
            *slot = session;
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
