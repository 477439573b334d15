//! The watchdog, beside a call that may hang.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use super::generation::Generation;
use super::watchdog::Leases;
use crate::storage::database::workers::abandoned_calls::OnHang;
use crate::{PooledConnection, check};

/// The leases of a pool, with a watchdog.
pub(crate) struct Watched {
    leases: Leases,
    generation: Arc<Generation>,
}

impl Watched {
    /// The watchdog looks so often, at any time.
    pub(crate) fn new(looks: usize) -> Self {
        Weak::bound_upgrades(looks);
        let generation = Arc::default();
        let leases = Leases::new(Duration::from_secs(1), Arc::clone(&generation));
        leases.watch().unwrap();
        Self { leases, generation }
    }

    /// A call on a connection. It hangs if the watchdog looks while it runs. Returns whether it does.
    pub(crate) fn call(&self, on_hang: &OnHang) -> bool {
        let lease = self.leases.begin(PooledConnection::default(), true, on_hang);
        lease.set_call_limit(Duration::ZERO);
        lease.end().is_none()
    }
}

/// A lease is ended or revoked, and if it is revoked, everything is ready for its thread to end.
pub fn a_lease_is_ended_or_revoked() {
    check(|| {
        let watched = Watched::new(2);
        let is_replaced = Arc::new(AtomicBool::new(false));
        let replaced = Arc::clone(&is_replaced);
        let on_hang: OnHang = Arc::new(move || assert!(!replaced.swap(true, Ordering::Relaxed), "replaced twice"));
        let is_revoked = watched.call(&on_hang);
        assert_eq!(is_replaced.load(Ordering::Relaxed), is_revoked);
        assert_eq!(watched.generation.current(), u64::from(is_revoked));
        assert_eq!((watched.leases.count(), watched.leases.abandoned()), (0, 0));
        thread::join("watchdog");
        assert_eq!(is_replaced.load(Ordering::Relaxed), is_revoked);
    });
}
