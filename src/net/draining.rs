use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Whether the service is on its way out. Clones share one state.
#[derive(Clone, Debug, Default)]
pub struct Draining(Arc<Drain>);

#[derive(Debug, Default)]
struct Drain {
    has_begun: AtomicBool,
    begins: Notify,
}

impl Draining {
    /// From now on the service is on its way out.
    pub fn begin(&self) {
        self.0.has_begun.store(true, Ordering::Release);
        self.0.begins.notify_waiters();
    }

    /// Whether it is.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.has_begun.load(Ordering::Acquire)
    }

    /// Waits until it is.
    pub async fn has_begun(&self) {
        // Whoever has this before the flag is looked at is not forgotten.
        let begins = self.0.begins.notified();
        if !self.is_draining() {
            begins.await;
        }
    }
}
