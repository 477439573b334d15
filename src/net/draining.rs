use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Whether the service is shutting down. Clones share one state.
///
/// Every request reads it. `tokio_util`'s `CancellationToken` would take a lock each time, so it does not serve here.
#[derive(Clone, Debug, Default)]
pub struct Draining(Arc<Drain>);

#[derive(Debug, Default)]
struct Drain {
    has_begun: AtomicBool,
    begins: Notify,
}

impl Draining {
    /// Starts the shutdown.
    pub fn begin(&self) {
        self.0.has_begun.store(true, Ordering::Release);
        self.0.begins.notify_waiters();
    }

    /// Whether the shutdown has begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.has_begun.load(Ordering::Acquire)
    }

    /// Waits until the shutdown begins.
    pub async fn has_begun(&self) {
        // `notify_waiters` wakes those that exist when it is called, so this must exist before the flag is read.
        let begins = self.0.begins.notified();
        if !self.is_draining() {
            begins.await;
        }
    }
}
