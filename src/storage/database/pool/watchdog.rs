//! The watchdog: abandons connections whose call to PostgreSQL does not return.
//!
//! libpq waits for a response without a bound, and no TCP timeout fires as long as the other machine's kernel
//! acknowledges what it is sent. A server that is stopped, or a proxy that has lost its server, would keep its clients
//! for ever, even when another server has taken its place. Nothing can interrupt such a call
//! (docs/decisions/0008-abandon-hung-calls.md), so its thread and connection are abandoned.
//!
//! Each connection outside the pool has a lease. The watchdog, a thread that never touches the database, checks the
//! leases eight times in twice `DB_DEADLINE`, or in a second if that is longer. By then all callers of a batch have
//! given up, and the server would have ended a statement. A lease older than that is revoked: its slot in the pool is
//! free for a new connection, and the generation of the pool rises, so that all connections of that age are replaced
//! too. The watchdog counts its checks instead of asking the clock: a process that was stopped for a while must not
//! take all its calls for hung.
//!
//! When an abandoned call returns, its thread closes the connection, counts what was committed, claims nothing more,
//! and ends. Nothing of SQLite is abandoned: another connection would wait for the same disk.
//!
//! An abandoned write may be **committed late**: when its server continues, it finds the statement in its socket and
//! executes it, whatever has been written since. That breaks no promise:
//!
//! - Its callers got 504, which says that the write may still be executed, and they do not repeat it.
//! - The promise is that a write comes after those that were acknowledged before it was sent. An acknowledged write is
//!   committed, so whatever is executed later comes after it.
//! - To the database the abandoned writer is like another replica's. The statement itself locks rows and checks
//!   versions: a stale condition fails, a taken address is refused, and the new version and its event come after
//!   everything committed before. An unconditional update overwrites what was written since, as a slow replica's would;
//!   `If-Match` prevents that.
//! - If another server has taken over, nothing the old one commits may become visible: it must be fenced, whatever its
//!   clients do.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use r2d2::PooledConnection;

use super::generation::Generation;
use super::manager::Manager;
use crate::storage::database::workers::abandoned_calls::OnHang;

/// A connection's slot in r2d2's pool. It is empty while the connection is checked out.
type Slot = PooledConnection<Manager>;

/// How many checks a call may outlast.
///
/// The watchdog counts its checks instead of asking the clock: after the whole process was stopped for a while, no call
/// hangs.
const CHECKS: u32 = 8;

/// The leases of all connections that are checked out. Clones share them.
#[derive(Clone)]
pub(super) struct Leases(Arc<Shared>);

struct Shared {
    limit: Duration,
    /// The pool's generation, which ends when a connection is abandoned.
    generation: Arc<Generation>,
    held: Mutex<HeldLeases>,
}

#[derive(Default)]
struct HeldLeases {
    entries: Vec<Entry>,
    next_id: u64,
    /// How many were abandoned and have not ended.
    abandoned: usize,
}

struct Entry {
    id: u64,
    slot: Slot,
    /// How many more checks the call may outlast. `None` for SQLite, whose calls are never abandoned: no server could
    /// hang, and another connection would wait for the same disk.
    checks_left: Option<u32>,
    on_hang: OnHang,
}

/// The right to use a connection, until it is ended or revoked.
pub(super) struct Lease {
    id: u64,
    leases: Leases,
}

impl Leases {
    /// `limit` is how long a call may take unless it sets another limit.
    pub(super) fn new(limit: Duration, generation: Arc<Generation>) -> Self {
        Self(Arc::new(Shared { limit, generation, held: Mutex::default() }))
    }

    /// How long a call may take unless it sets another limit.
    pub(super) fn limit(&self) -> Duration {
        self.0.limit
    }

    pub(super) fn begin(&self, slot: Slot, may_hang: bool, on_hang: &OnHang) -> Lease {
        let mut held = self.0.lock();
        let id = held.next_id;
        held.next_id += 1;
        held.entries.push(Entry { id, slot, checks_left: may_hang.then_some(CHECKS), on_hang: Arc::clone(on_hang) });
        Lease { id, leases: self.clone() }
    }

    /// How many connections are checked out, without abandoned ones.
    pub(super) fn count(&self) -> usize {
        self.0.lock().entries.len()
    }

    /// How many abandoned calls have not returned.
    pub(super) fn abandoned(&self) -> usize {
        self.0.lock().abandoned
    }

    /// Starts the watchdog's thread. It ends when these leases are dropped.
    pub(super) fn watch(&self) -> std::io::Result<()> {
        let (shared, interval) = (Arc::downgrade(&self.0), self.0.interval());
        let work = move || {
            while let Some(shared) = Weak::upgrade(&shared) {
                shared.check();
                drop(shared);
                std::thread::sleep(interval);
            }
        };
        std::thread::Builder::new().name("watchdog".to_owned()).spawn(work).map(drop)
    }
}

impl Lease {
    /// Lets the call take so long from now on.
    pub(super) fn set_call_limit(&self, limit: Duration) {
        let checks = limit.as_nanos().div_ceil(self.leases.0.interval().as_nanos().max(1));
        let checks = u32::try_from(checks).unwrap_or(u32::MAX);
        let mut held = self.leases.0.lock();
        if let Some(entry) = held.entries.iter_mut().find(|entry| entry.id == self.id) {
            entry.checks_left = entry.checks_left.map(|_| checks);
        }
    }

    /// Ends the lease, and returns the slot unless the connection was abandoned.
    pub(super) fn end(&self) -> Option<Slot> {
        let mut held = self.leases.0.lock();
        let Some(at) = held.entries.iter().position(|entry| entry.id == self.id) else {
            held.abandoned = held.abandoned.saturating_sub(1);
            return None;
        };
        Some(held.entries.swap_remove(at).slot)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HeldLeases> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time between two checks.
    fn interval(&self) -> Duration {
        self.limit / CHECKS
    }

    fn check(&self) {
        let mut held = self.lock();
        let hung = Vec::from_iter(held.entries.extract_if(.., Entry::has_expired));
        if hung.is_empty() {
            return;
        }
        held.abandoned += hung.len();
        self.generation.end_current();
        // Under the lock: a thread that finds its lease revoked must have been replaced by then.
        for entry in &hung {
            (entry.on_hang)();
        }
        drop(held);
        // Frees the slots, and so wakes callers that wait for one.
        drop(hung);
    }
}

impl Entry {
    /// Counts a check, and returns whether the call has outlasted too many.
    fn has_expired(&mut self) -> bool {
        let Some(left) = &mut self.checks_left else { return false };
        let has_expired = *left == 0;
        *left = left.saturating_sub(1);
        has_expired
    }
}
