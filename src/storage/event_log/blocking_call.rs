//! A call to the database on a blocking thread. If it hangs, its caller and its permit are released.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::domain::Error;
use crate::storage::database::workers::abandoned_calls::{AbandonedCalls, OnHang};

/// A call on its thread.
pub(super) struct BlockingCall<T> {
    /// `None` after the answer, and after the call was abandoned.
    pending: Arc<Mutex<Option<Pending<T>>>>,
    abandoned: Arc<AbandonedCalls>,
}

/// What a call holds until it ends.
struct Pending<T> {
    /// Declared before the caller, so that it is dropped first: the caller may need a permit for its next call.
    permit: OwnedSemaphorePermit,
    caller: oneshot::Sender<Result<T, Error>>,
}

impl<T: Send + 'static> BlockingCall<T> {
    /// The call, and the caller's end.
    pub(super) fn new(
        permit: OwnedSemaphorePermit,
        abandoned: Arc<AbandonedCalls>,
    ) -> (Self, oneshot::Receiver<Result<T, Error>>) {
        let (caller, answer) = oneshot::channel();
        (Self { pending: Arc::new(Mutex::new(Some(Pending { permit, caller }))), abandoned }, answer)
    }

    /// Releases the caller and the permit when the call hangs.
    pub(super) fn on_hang(&self) -> OnHang {
        let (pending, abandoned) = (Arc::clone(&self.pending), Arc::clone(&self.abandoned));
        Arc::new(move || {
            abandoned.add();
            drop(take(&pending));
        })
    }

    /// Answers the caller, unless the call was abandoned.
    pub(super) fn answer(&self, result: Result<T, Error>) {
        let Some(Pending { permit, caller }) = take(&self.pending) else { return self.abandoned.remove() };
        drop(permit);
        // The caller may have gone.
        let _ = caller.send(result);
    }
}

fn take<T>(pending: &Mutex<Option<T>>) -> Option<T> {
    pending.lock().unwrap_or_else(PoisonError::into_inner).take()
}
