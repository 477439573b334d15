//! Windows: a caller that sends many messages at once takes at most an eighth of a lane's mailbox.
//!
//! A batch of a thousand operations would fill the mailbox, and all other callers would be refused. So a batch is sent
//! in windows, one after the other. A caller has one window at a time, however many batches it sends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

/// Identifies a caller.
type CallerId = [u8; 32];

/// The windows of one lane.
pub(crate) struct Windows {
    size: usize,
    /// The callers that have a window or wait for one.
    callers: Mutex<HashMap<CallerId, Arc<tokio::sync::Mutex<()>>>>,
}

impl Windows {
    /// The windows of a lane whose mailbox holds so many messages.
    pub(crate) fn of_mailbox(messages: usize) -> Self {
        Self { size: (messages / 8).max(1), callers: Mutex::default() }
    }

    /// How many messages a window holds.
    pub(crate) const fn size(&self) -> usize {
        self.size
    }

    /// Waits until the caller has no other window. Its batches take turns.
    pub(crate) async fn enter(&self, caller: &CallerId) -> Window<'_> {
        let turn = Arc::clone(lock(&self.callers).entry(*caller).or_default());
        // Made before the wait, which may be cancelled.
        let leaving = Leaving { windows: self, caller: *caller };
        Window { _turn: turn.lock_owned().await, _leaving: leaving }
    }
}

/// The right to send one window of messages, until it is dropped.
pub(crate) struct Window<'a> {
    /// Declared first, so that it is dropped before the caller is forgotten.
    _turn: OwnedMutexGuard<()>,
    _leaving: Leaving<'a>,
}

/// Forgets a caller when it has no window any more and waits for none.
struct Leaving<'a> {
    windows: &'a Windows,
    caller: CallerId,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let mut callers = lock(&self.windows.callers);
        // All other references are made under this lock.
        if callers.get(&self.caller).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            callers.remove(&self.caller);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing panics while it is held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_caller_has_one_window_at_a_time_and_is_forgotten_after_it() {
        let windows = Windows::of_mailbox(1024);
        assert_eq!(windows.size(), 128);
        let first = windows.enter(&[1; 32]).await;
        let other = windows.enter(&[2; 32]).await;
        {
            let mut second = Box::pin(windows.enter(&[1; 32]));
            assert!(second.as_mut().now_or_never().is_none(), "it waits for the first");
        }
        let mut third = Box::pin(windows.enter(&[1; 32]));
        assert!(third.as_mut().now_or_never().is_none());
        drop(first);
        drop(third.await);
        assert_eq!(lock(&windows.callers).len(), 1);
        drop(other);
        assert!(lock(&windows.callers).is_empty());
    }

    #[test]
    fn a_window_holds_a_message_even_of_a_tiny_mailbox() {
        assert_eq!(Windows::of_mailbox(1).size(), 1);
    }
}
