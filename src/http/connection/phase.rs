//! What a connection waits for.

use std::cell::Cell;
use std::rc::Rc;

use tokio::time::Instant;

/// The phase of a connection; each has its own timeout, or none.
#[derive(Clone, Copy)]
pub(super) enum Phase {
    /// No request has begun since then.
    Idle(Instant),
    /// Bytes have been arriving since then: the head of a request, or the rest of a body that no handler reads any
    /// more.
    Arriving(Instant),
    /// The service reads the body, handles the request or produces the response body. Each of these is bounded where it
    /// is done, so the connection adds no timeout.
    Handling,
    /// The response was complete then; its last bytes wait to be written.
    Flushing(Instant),
}

/// The current phase of one connection. Clones share it.
#[derive(Clone)]
pub(super) struct CurrentPhase(Rc<Cell<Phase>>);

impl CurrentPhase {
    pub(super) fn new(phase: Phase) -> Self {
        Self(Rc::new(Cell::new(phase)))
    }

    pub(super) fn get(&self) -> Phase {
        self.0.get()
    }

    pub(super) fn set(&self, phase: Phase) {
        self.0.set(phase);
    }

    /// Starts [`Phase::Handling`], which ends when the guard is dropped.
    pub(super) fn handle(&self) -> Handling {
        self.set(Phase::Handling);
        Handling(self.clone())
    }
}

/// Keeps a connection in [`Phase::Handling`]. The response body owns it, so that a stream is not idle between two
/// chunks.
pub(super) struct Handling(CurrentPhase);

impl Drop for Handling {
    fn drop(&mut self) {
        let Self(phase) = self;
        phase.set(Phase::Flushing(Instant::now()));
    }
}
