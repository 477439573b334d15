//! The calls in flight on a connection, and the limits on their number and on what an unauthenticated client may send.
//!
//! Every connection may always have four calls, so that no client can take them from another. Calls beyond those share
//! `MAX_CONNECTIONS` permits across all connections, and require a token. A connection on which no token was valid is
//! shut down gracefully after 16 KiB.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Duration, Instant, sleep, sleep_until};

use crate::storage::BatchSlot;

/// Concurrent calls that every connection may always have: enough to watch the service's health, use reflection, and
/// call.
const GUARANTEED_CALLS: usize = 4;
/// How much an unauthenticated client may send, in bytes: enough for some hundred health checks. h2 may hold on to all
/// of it, because a header that the connection remembers is a slice of everything that was read with it.
const MAX_UNAUTHENTICATED_BYTES: usize = 16 << 10;
/// How long a client has to notice that its connection closes.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// The calls in flight on one connection: those whose responses are not yet complete.
pub(crate) struct InFlightCalls {
    calls: Cell<usize>,
    /// How many of the calls stream.
    streams: Cell<usize>,
    /// When the last call ended.
    idle_since: Cell<Instant>,
    changes: Notify,
    /// Whether new calls are rejected.
    is_closed: Cell<bool>,
    /// Whether a call on this connection had a valid token.
    is_authenticated: Cell<bool>,
    /// Bytes received before that.
    unauthenticated_bytes: Cell<usize>,
    /// Permits for calls beyond the guaranteed ones. All connections share them.
    shared_permits: Arc<Semaphore>,
}

impl InFlightCalls {
    pub(crate) fn new(shared_permits: Arc<Semaphore>) -> Rc<Self> {
        Rc::new(Self {
            calls: Cell::default(),
            streams: Cell::default(),
            idle_since: Cell::new(Instant::now()),
            changes: Notify::new(),
            is_closed: Cell::default(),
            is_authenticated: Cell::default(),
            unauthenticated_bytes: Cell::default(),
            shared_permits,
        })
    }

    /// Adds a call. `None` if the connection accepts no more.
    pub(crate) fn begin(self: &Rc<Self>) -> Option<InFlightCall> {
        if self.is_closed.get() {
            return None;
        }
        self.calls.set(self.calls.get() + 1);
        let needs_permit = self.calls.get() > GUARANTEED_CALLS;
        Some(InFlightCall { connection: Rc::clone(self), streams: false, needs_permit, permit: None, slot: None })
    }

    pub(crate) fn is_authenticated(&self) -> bool {
        self.is_authenticated.get()
    }

    /// Counts bytes from an unauthenticated client.
    pub(super) fn add_unauthenticated_bytes(&self, bytes: usize) {
        self.unauthenticated_bytes.set(self.unauthenticated_bytes.get() + bytes);
        if self.unauthenticated_bytes.get() > MAX_UNAUTHENTICATED_BYTES {
            self.changes.notify_waiters();
        }
    }

    /// Whether to stop reading an unauthenticated client while its connection is still closing.
    pub(super) fn must_stop_reading(&self) -> bool {
        self.unauthenticated_bytes.get() > 2 * MAX_UNAUTHENTICATED_BYTES
    }

    /// Completes when an unauthenticated client has exceeded its limit.
    pub(crate) async fn exceed_unauthenticated_limit(&self) {
        loop {
            let changes = self.changes.notified();
            if self.unauthenticated_bytes.get() <= MAX_UNAUTHENTICATED_BYTES || self.is_authenticated() {
                changes.await;
                continue;
            }
            // A token may be on its way.
            sleep(CLOSE_GRACE).await;
            if !self.is_authenticated() {
                return;
            }
        }
    }

    /// Completes when there has been no call for this long.
    pub(crate) async fn idle_for(&self, time: Duration) {
        loop {
            let changes = self.changes.notified();
            if self.calls.get() > 0 {
                changes.await;
                continue;
            }
            let due = self.idle_since.get() + time;
            if due <= Instant::now() {
                return;
            }
            sleep_until(due).await;
        }
    }

    /// Rejects new calls after the client had time to notice that the connection closes. Completes when all calls but
    /// the streams have ended.
    pub(crate) async fn close(&self) {
        sleep(CLOSE_GRACE).await;
        self.is_closed.set(true);
        loop {
            let changes = self.changes.notified();
            if self.calls.get() <= self.streams.get() {
                break;
            }
            changes.await;
        }
        // The last responses may not have been written yet.
        sleep(CLOSE_GRACE).await;
    }
}

/// A call that is in flight until this is dropped.
pub(crate) struct InFlightCall {
    connection: Rc<InFlightCalls>,
    streams: bool,
    /// Whether this call is beyond those that its connection may always have.
    needs_permit: bool,
    permit: Option<OwnedSemaphorePermit>,
    /// The room in memory that a batch takes until its answer was sent.
    slot: Option<BatchSlot>,
}

impl InFlightCall {
    /// Keeps the slot of a batch as long as the call is in flight.
    pub(crate) fn hold(&mut self, slot: BatchSlot) {
        self.slot = Some(slot);
    }

    /// The call has a valid token.
    pub(crate) fn authenticated(&self) {
        if !self.connection.is_authenticated.replace(true) {
            // Reading may be paused.
            self.connection.changes.notify_waiters();
        }
    }

    /// Acquires the permit that the call needs, if any. False if there is none. Connections of unauthenticated clients
    /// get no permits, so that they cannot take those of others.
    pub(crate) fn acquire_permit(&mut self) -> bool {
        if !self.needs_permit || self.permit.is_some() {
            return true;
        }
        if self.connection.is_authenticated() {
            self.permit = Arc::clone(&self.connection.shared_permits).try_acquire_owned().ok();
        }
        self.permit.is_some()
    }

    /// The call's response is a stream, which may have no end.
    pub(crate) fn streams(&mut self) {
        self.streams = true;
        self.connection.streams.set(self.connection.streams.get() + 1);
        self.connection.changes.notify_waiters();
    }
}

impl Drop for InFlightCall {
    fn drop(&mut self) {
        let Self { connection, streams, .. } = self;
        connection.calls.set(connection.calls.get().saturating_sub(1));
        if *streams {
            connection.streams.set(connection.streams.get().saturating_sub(1));
        }
        if connection.calls.get() == 0 {
            connection.idle_since.set(Instant::now());
        }
        connection.changes.notify_waiters();
    }
}
