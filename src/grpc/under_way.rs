//! The calls of a connection that are not over yet, and how many there may be.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Duration, Instant, sleep, sleep_until};

use super::failure::Failure;

/// Calls at once that every connection has room for, whoever its client is: it watches the service's health, asks by reflection, and
/// calls.
const OF_EACH: usize = 4;
/// How much is heard on a connection of somebody who shows no token, in bytes: some hundred questions after the service's health.
/// h2 may keep as much as it is sent: a header that a connection is to remember is a piece of all that was read with it.
const HEARD: usize = 16 << 10;
/// How long a client may take to notice that its connection ends.
const GOODBYE: Duration = Duration::from_secs(1);

/// The calls of a connection that are not over yet, their answers not sent.
pub(super) struct UnderWay {
    calls: Cell<usize>,
    /// How many of them stream.
    streams: Cell<usize>,
    /// Since when there are none.
    idle_since: Cell<Instant>,
    changes: Notify,
    /// Whether no more of them are taken.
    is_closed: Cell<bool>,
    /// Whether its client has shown a token that is good for something.
    is_known: Cell<bool>,
    /// How many bytes came before it did.
    heard: Cell<usize>,
    /// Permits for calls beyond those that each connection has room for; all connections share them.
    beyond: Arc<Semaphore>,
}

impl UnderWay {
    pub(super) fn new(beyond: Arc<Semaphore>) -> Rc<Self> {
        Rc::new(Self {
            calls: Cell::default(),
            streams: Cell::default(),
            idle_since: Cell::new(Instant::now()),
            changes: Notify::new(),
            is_closed: Cell::default(),
            is_known: Cell::default(),
            heard: Cell::default(),
            beyond,
        })
    }

    /// None when no more are taken.
    pub(super) fn begin(self: &Rc<Self>) -> Option<CallUnderWay> {
        if self.is_closed.get() {
            return None;
        }
        self.calls.set(self.calls.get() + 1);
        let needs_permit = self.calls.get() > OF_EACH;
        Some(CallUnderWay { of: Rc::clone(self), streams: false, needs_permit, permit: None })
    }

    pub(super) fn is_known(&self) -> bool {
        self.is_known.get()
    }

    /// Takes note of bytes that came of somebody who is not known.
    pub(super) fn hear(&self, bytes: usize) {
        self.heard.set(self.heard.get() + bytes);
        if self.heard.get() > HEARD {
            self.changes.notify_waiters();
        }
    }

    /// Whether nothing more is to be read, although the connection has not ended yet.
    pub(super) fn have_been_too_much(&self) -> bool {
        self.heard.get() > 2 * HEARD
    }

    /// Waits until there was enough of them for somebody who is not known.
    pub(super) async fn have_been_enough(&self) {
        loop {
            let changes = self.changes.notified();
            if self.heard.get() <= HEARD || self.is_known() {
                changes.await;
                continue;
            }
            // It may be about to show one.
            sleep(GOODBYE).await;
            if !self.is_known() {
                return;
            }
        }
    }

    /// Waits until there has been none for so long.
    pub(super) async fn have_been_none_for(&self, time: Duration) {
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

    /// Waits until all are over that do not stream; takes no more of them, after clients had time to notice.
    pub(super) async fn over(&self) {
        sleep(GOODBYE).await;
        self.is_closed.set(true);
        loop {
            let changes = self.changes.notified();
            if self.calls.get() <= self.streams.get() {
                break;
            }
            changes.await;
        }
        // For what is yet to be written.
        sleep(GOODBYE).await;
    }
}

/// A call that is not over until this is dropped.
pub(super) struct CallUnderWay {
    of: Rc<UnderWay>,
    streams: bool,
    /// Whether it is one more than its connection has room for by itself.
    needs_permit: bool,
    permit: Option<OwnedSemaphorePermit>,
}

impl CallUnderWay {
    /// Its caller has a token that is good for it.
    pub(super) fn admitted(&self) {
        if !self.of.is_known.replace(true) {
            // Its connection may wait to be read.
            self.of.changes.notify_waiters();
        }
    }

    /// Whether the call may be held, for as long as it takes. Connections whose clients have shown no token have what each has,
    /// so that nobody takes others' permits without one.
    pub(super) fn hold(&mut self) -> Result<(), Failure> {
        if !self.needs_permit || self.permit.is_some() {
            return Ok(());
        }
        if self.of.is_known() {
            self.permit = Arc::clone(&self.of.beyond).try_acquire_owned().ok();
        }
        if self.permit.is_some() { Ok(()) } else { Err(Failure::TooManyCalls) }
    }

    /// Its answer may have no end.
    pub(super) fn streams(&mut self) {
        self.streams = true;
        self.of.streams.set(self.of.streams.get() + 1);
        self.of.changes.notify_waiters();
    }
}

impl Drop for CallUnderWay {
    fn drop(&mut self) {
        let Self { of, streams, .. } = self;
        of.calls.set(of.calls.get().saturating_sub(1));
        if *streams {
            of.streams.set(of.streams.get().saturating_sub(1));
        }
        if of.calls.get() == 0 {
            of.idle_since.set(Instant::now());
        }
        of.changes.notify_waiters();
    }
}
