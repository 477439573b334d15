//! The watchdog: abandons connections whose call to the database does not return.
//!
//! libpq waits for an answer without a bound, and no timeout of TCP fires as long as the other machine's kernel acknowledges what
//! it is sent: a server that is stopped keeps its clients for ever. Diesel shows nobody the socket, to shut it down. So each
//! connection that is out of the pool has a lease, which the watchdog looks after. One whose call takes too long loses its
//! place in the pool, no other connection of its age is handed out again, and whoever works with it is replaced. The
//! connection itself stays with the thread that waits in it, and is closed when the call returns at last.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use r2d2::PooledConnection;

use super::generation::Generation;
use super::manager::Manager;

/// What is done about a call that hangs. It must not wait for anything.
pub(crate) type OnHang = Arc<dyn Fn() + Send + Sync>;

/// What r2d2 gave: a connection's place in the pool, which is empty while the connection is out.
type Place = PooledConnection<Manager>;

/// How often the watchdog looks at a call while it takes as long as it may.
///
/// It counts its looks and does not ask the clock: when the whole process was stopped for a while, no call has hung.
const LOOKS: u32 = 8;

/// The connections that are out of the pool. Clones share them.
#[derive(Clone)]
pub(super) struct Leases(Arc<Shared>);

struct Shared {
    limit: Duration,
    /// The pool's, which rises when one of its connections is abandoned.
    generation: Arc<Generation>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    entries: Vec<Entry>,
    /// The id of the next one.
    next: u64,
    /// How many were abandoned, and have not ended.
    hung: usize,
}

struct Entry {
    id: u64,
    place: Place,
    /// How many more looks it may take. SQLite may take any number: there is no other side that could hang, and another
    /// connection would wait for the same disk.
    looks: Option<u32>,
    on_hang: OnHang,
}

/// The right to a connection, until it is ended or abandoned.
pub(super) struct Lease {
    id: u64,
    leases: Leases,
}

impl Leases {
    /// No call may take longer than this, if it has not asked for more.
    pub(super) fn new(limit: Duration, generation: Arc<Generation>) -> Self {
        Self(Arc::new(Shared { limit, generation, held: Mutex::default() }))
    }

    /// How long a call may take that has not asked for more.
    pub(super) fn limit(&self) -> Duration {
        self.0.limit
    }

    pub(super) fn begin(&self, place: Place, may_hang: bool, on_hang: &OnHang) -> Lease {
        let mut held = self.0.lock();
        let id = held.next;
        held.next += 1;
        held.entries.push(Entry { id, place, looks: may_hang.then_some(LOOKS), on_hang: Arc::clone(on_hang) });
        Lease { id, leases: self.clone() }
    }

    /// How many connections are out of the pool now, without those that were abandoned.
    pub(super) fn count(&self) -> usize {
        self.0.lock().entries.len()
    }

    /// How many were abandoned whose calls have not returned.
    pub(super) fn hung(&self) -> usize {
        self.0.lock().hung
    }

    /// Starts the watchdog's thread. It ends when nobody has these leases any more.
    pub(super) fn watch(&self) -> std::io::Result<()> {
        let (shared, pause) = (Arc::downgrade(&self.0), self.0.pause());
        let work = move || {
            while let Some(shared) = Weak::upgrade(&shared) {
                shared.look();
                drop(shared);
                std::thread::sleep(pause);
            }
        };
        std::thread::Builder::new().name("watchdog".to_owned()).spawn(work).map(drop)
    }
}

impl Lease {
    /// Lets the call take so long from now on.
    pub(super) fn may_take(&self, time: Duration) {
        let looks = time.as_nanos().div_ceil(self.leases.0.pause().as_nanos().max(1));
        let looks = u32::try_from(looks).unwrap_or(u32::MAX);
        let mut held = self.leases.0.lock();
        if let Some(entry) = held.entries.iter_mut().find(|entry| entry.id == self.id) {
            entry.looks = entry.looks.map(|_| looks);
        }
    }

    /// Gives back the place in the pool, unless the connection was abandoned.
    pub(super) fn end(&self) -> Option<Place> {
        let mut held = self.leases.0.lock();
        let Some(at) = held.entries.iter().position(|entry| entry.id == self.id) else {
            held.hung = held.hung.saturating_sub(1);
            return None;
        };
        Some(held.entries.swap_remove(at).place)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Between two looks.
    fn pause(&self) -> Duration {
        self.limit / LOOKS
    }

    fn look(&self) {
        let mut held = self.lock();
        let hung = Vec::from_iter(held.entries.extract_if(.., Entry::is_over));
        if hung.is_empty() {
            return;
        }
        held.hung += hung.len();
        self.generation.end_current();
        // Under the lock: whoever finds its lease gone must have been replaced by then.
        for entry in &hung {
            (entry.on_hang)();
        }
        drop(held);
        // Whoever waits for a place in the pool is woken up.
        drop(hung);
    }
}

impl Entry {
    /// Counts a look; true when there have been too many.
    fn is_over(&mut self) -> bool {
        let Some(left) = &mut self.looks else { return false };
        let is_over = *left == 0;
        *left = left.saturating_sub(1);
        is_over
    }
}
