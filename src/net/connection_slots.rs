//! Limits connections, and reserves some for probes.
//!
//! A service whose connections are all in use looks dead to its load balancer, which cannot probe it and removes it.
//! The next replica then gets its load, until none is left. So the workers accept 32 connections beyond
//! `MAX_CONNECTIONS`, counted for the process and for both protocols. A connection that is accepted when all regular
//! slots are taken is in the **reserve**.
//!
//! There, the gates of HTTP and gRPC answer what needs no token, and reject the rest before they look at a token. Over
//! HTTP the response closes the connection. A reserve connection has a second to send its request and two seconds in
//! all, so that an unauthenticated client that says nothing or does not read cannot keep others out for longer. Beyond
//! the reserve the workers accept no more, and the next connection waits in the kernel's backlog.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// The connection slots of the process. Clones share them.
#[derive(Clone, Debug)]
pub struct ConnectionSlots {
    regular: Arc<Semaphore>,
    max_regular: usize,
}

impl ConnectionSlots {
    /// How many connections may be open beyond the limit.
    pub const RESERVE: usize = 32;

    /// So many regular slots, and the reserve.
    #[must_use]
    pub fn new(max_regular: usize) -> Self {
        Self { regular: Arc::new(Semaphore::new(max_regular)), max_regular }
    }

    /// How many connections each of the workers must accept, so that they can use all slots between them.
    #[must_use]
    pub const fn per_worker(&self, workers: usize) -> usize {
        self.max_regular.div_ceil(workers) + Self::RESERVE.div_ceil(workers)
    }

    /// Takes a slot for a connection: one of the reserve if all regular slots are taken. The limit of connections per
    /// worker bounds the reserve.
    #[must_use]
    pub fn take(&self) -> ConnectionSlot {
        ConnectionSlot { regular: Arc::clone(&self.regular).try_acquire_owned().ok() }
    }
}

/// The slot of one connection, until it is dropped.
#[derive(Debug)]
pub struct ConnectionSlot {
    /// `None` in the reserve.
    regular: Option<OwnedSemaphorePermit>,
}

impl ConnectionSlot {
    /// How long the head of the request on a reserve connection may take.
    pub const RESERVE_HEAD_TIMEOUT: Duration = Duration::from_secs(1);
    /// How long a reserve connection may last.
    const RESERVE_TIMEOUT: Duration = Duration::from_secs(2);

    /// Whether the connection gets one answer only, to a request that needs no token.
    #[must_use]
    pub const fn is_in_reserve(&self) -> bool {
        self.regular.is_none()
    }

    /// Serves a connection and holds the slot meanwhile. `None` if a reserve connection took too long and was cut off.
    pub async fn hold<T>(self, connection: impl Future<Output = T>) -> Option<T> {
        if self.is_in_reserve() {
            timeout(Self::RESERVE_TIMEOUT, connection).await.ok()
        } else {
            Some(connection.await)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_limit_a_slot_is_in_the_reserve() {
        let slots = ConnectionSlots::new(2);
        let regular = [slots.take(), slots.take()];
        assert!(regular.iter().all(|slot| !slot.is_in_reserve()));
        let beyond = slots.take();
        assert!(beyond.is_in_reserve() && slots.take().is_in_reserve());
        drop(regular);
        assert!(!slots.take().is_in_reserve());
        drop(beyond);
        let again = [slots.take(), slots.take(), slots.take()];
        assert_eq!(
            again.each_ref().map(ConnectionSlot::is_in_reserve),
            [false, false, true],
            "it gave back no more than it had"
        );
    }

    #[test]
    fn workers_accept_enough_for_all_slots() {
        for (limit, workers) in [(1, 1), (2, 3), (10_000, 7), (5, 64)] {
            let each = ConnectionSlots::new(limit).per_worker(workers);
            assert!(each * workers >= limit + ConnectionSlots::RESERVE, "{limit} among {workers}");
        }
    }
}
