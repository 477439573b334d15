//! The room for batches in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::Error;

/// How many batches there may be at once, of all callers. Each may take some megabytes, for its body and its answer.
const AT_ONCE: usize = 16;
/// How many of them one caller may have, so that there is room for others.
const OF_ONE_CALLER: usize = AT_ONCE / 2;

type CallerId = [u8; 32];

#[derive(Debug)]
pub(super) struct BatchSlots {
    permits: Arc<Semaphore>,
    /// How many each caller has, if it has any.
    held: Mutex<HashMap<CallerId, usize>>,
}

/// The room that a batch takes, until it is dropped.
#[derive(Debug)]
pub struct BatchSlot {
    slots: Arc<BatchSlots>,
    caller: CallerId,
    _permit: OwnedSemaphorePermit,
}

impl BatchSlots {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { permits: Arc::new(Semaphore::new(AT_ONCE)), held: Mutex::default() })
    }

    /// Takes the room for a batch.
    ///
    /// # Errors
    /// [`Error::Overloaded`] if there is none, or none for this caller.
    pub(super) fn take(self: &Arc<Self>, caller: &CallerId) -> Result<BatchSlot, Error> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().map_err(|_| Error::Overloaded)?;
        let mut held = self.held();
        let count = held.entry(*caller).or_default();
        if *count >= OF_ONE_CALLER {
            return Err(Error::Overloaded);
        }
        *count += 1;
        Ok(BatchSlot { slots: Arc::clone(self), caller: *caller, _permit: permit })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<CallerId, usize>> {
        // Nothing panics while it is held.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for BatchSlot {
    fn drop(&mut self) {
        let mut held = self.slots.held();
        match held.get_mut(&self.caller) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(held.remove(&self.caller)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_leaves_room_for_others() {
        let slots = BatchSlots::new();
        let take = |caller: u8| slots.take(&[caller; 32]);
        let first = Vec::from_iter((0..8).map(|_| take(1).unwrap()));
        assert_eq!(take(1).unwrap_err(), Error::Overloaded);
        let second = Vec::from_iter((0..8).map(|_| take(2).unwrap()));
        assert_eq!(take(3).unwrap_err(), Error::Overloaded, "all are taken");
        drop(first);
        drop(take(1).unwrap());
        drop(second);
        assert!(slots.held().is_empty());
    }
}
