//! A call to the database, for a caller that must not wait for it when it hangs.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::domain::Error;
use crate::storage::database::hung::Hung;
use crate::storage::database::watchdog::OnHang;

/// A call on its thread.
pub(super) struct Call<T> {
    waits: Arc<Mutex<Option<Waits<T>>>>,
    hung: Arc<Hung>,
}

/// What waits for the end of a call: the caller, and those who want to use the database after it.
struct Waits<T> {
    caller: oneshot::Sender<Result<T, Error>>,
    turn: OwnedSemaphorePermit,
}

impl<T: Send + 'static> Call<T> {
    pub(super) fn new(turn: OwnedSemaphorePermit, hung: Arc<Hung>) -> (Self, oneshot::Receiver<Result<T, Error>>) {
        let (caller, answer) = oneshot::channel();
        (Self { waits: Arc::new(Mutex::new(Some(Waits { caller, turn }))), hung }, answer)
    }

    /// Lets go of all who wait.
    pub(super) fn on_hang(&self) -> OnHang {
        let (waits, hung) = (Arc::clone(&self.waits), Arc::clone(&self.hung));
        Arc::new(move || {
            hung.begin();
            drop(take(&waits));
        })
    }

    pub(super) fn answer(&self, result: Result<T, Error>) {
        let Some(Waits { caller, turn }) = take(&self.waits) else { return self.hung.end() };
        // Before the caller comes again.
        drop(turn);
        // It may be gone.
        let _ = caller.send(result);
    }
}

fn take<T>(waits: &Mutex<Option<T>>) -> Option<T> {
    waits.lock().unwrap_or_else(PoisonError::into_inner).take()
}
