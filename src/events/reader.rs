//! A reader of the live stream. It pulls, so nothing is buffered for a slow reader; it just falls behind.
//!
//! A reader holds an offset and nothing else. It waits until the head is beyond its offset, then for a random part of a
//! tenth of a second, and takes up to 64 events. Under constant load it does not wait for the head: it returns after
//! 100 to 200 ms. A thousand readers that wake up at once would delay the requests on the same event loops.
//!
//! A reader that is behind the ring reads the log instead, 64 rows at a time, up to the head. So it holds at most 64
//! events, whatever its pace. One reader behind the ring reads at a time: the tail, new readers and the relay do not
//! wait for them. A reader that falls out of retention ends, and its client learns why when it reconnects.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::format::{EventType, PublishedEvent};
use super::hub::{Hub, ReaderPermit};
use super::ring::{Chunk, Epoch, Head};
use crate::domain::{Error, Position};

/// The interval over which the readers' work is spread, so that a thousand of them do not delay everything else at
/// once.
const SPREAD: Duration = Duration::from_millis(100);
/// The pause before a retry when the database is unavailable.
const RETRY: Duration = Duration::from_secs(1);

/// Reads events of some types in order.
pub struct Reader {
    hub: Arc<Hub>,
    epoch: Epoch,
    seen: Position,
    types: Vec<EventType>,
    head: watch::Receiver<Head>,
    /// Whether the last chunk contained all events that there were.
    is_at_head: bool,
    _permit: ReaderPermit,
}

impl Reader {
    pub(super) fn new(
        hub: Arc<Hub>,
        (epoch, seen): (Epoch, Position),
        types: Vec<EventType>,
        permit: ReaderPermit,
    ) -> Self {
        let head = hub.watch_head();
        Self { hub, epoch, seen, types, head, is_at_head: false, _permit: permit }
    }

    /// The position up to which the reader has returned all of its events. A reader that resumes from here misses none.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.seen
    }

    /// Waits for the next events and returns at least one. Cancel safe.
    ///
    /// # Errors
    /// [`Error::EventsGone`] when the reader was so slow that the next events have been pruned, or when the log was
    /// replaced.
    pub async fn next(&mut self) -> Result<Vec<Arc<PublishedEvent>>, Error> {
        loop {
            self.wait().await?;
            let chunk = match self.take().await {
                Err(Error::Overloaded | Error::Unavailable | Error::Unusable) => {
                    sleep(RETRY + jitter()).await;
                    continue;
                }
                chunk => chunk?,
            };
            self.seen = chunk.to;
            self.is_at_head = self.seen >= self.head.borrow().checkpoint.position();
            if !chunk.events.is_empty() {
                self.hub.count(&chunk);
                return Ok(chunk.events);
            }
        }
    }

    /// Waits until there are events that the reader has not seen.
    async fn wait(&mut self) -> Result<(), Error> {
        if self.is_at_head {
            // Under constant load readers wake up at different times, and not all together with each new event.
            sleep(SPREAD + jitter()).await;
            self.is_at_head = false;
        }
        let (epoch, seen) = (self.epoch, self.seen);
        let has_advanced = |head: &Head| head.epoch != epoch || head.checkpoint.position() > seen;
        if has_advanced(&self.head.borrow()) {
            return Ok(());
        }
        self.head.wait_for(has_advanced).await.map_err(|_| Error::Unavailable)?;
        sleep(jitter()).await;
        Ok(())
    }

    async fn take(&self) -> Result<Chunk, Error> {
        // Read before the ring: if the ring lacks the next events, everything up to this head is in the log.
        let head = *self.head.borrow();
        match self.hub.recent(self.epoch, self.seen, &self.types)? {
            Some(chunk) => Ok(chunk),
            None => self.hub.past(self.seen, head.checkpoint, &self.types).await,
        }
    }
}

fn jitter() -> Duration {
    SPREAD.mul_f64(fastrand::f64())
}
