//! A reader of the feed. It pulls: one that is slow falls behind, and nothing is kept for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::cloud_event::EventType;
use super::feed::{Feed, Place};
use super::ring::{Epoch, Head, Piece};
use super::told::Told;
use crate::domain::{Error, Position};

/// Over how long the readers' work is spread, so that a thousand of them do not hold up everything else at once.
const SPREAD: Duration = Duration::from_millis(100);
/// How long it waits for a database that is away.
const RETRY: Duration = Duration::from_secs(1);

/// Reads events of some types, one after the other.
pub struct Reader {
    feed: Feed,
    epoch: Epoch,
    seen: Position,
    types: Vec<EventType>,
    head: watch::Receiver<Head>,
    /// Whether it has just taken all that there was.
    is_at_head: bool,
    _place: Place,
}

impl Reader {
    pub(super) fn new(
        feed: Feed,
        (epoch, seen): (Epoch, Position),
        types: Vec<EventType>,
        head: watch::Receiver<Head>,
        place: Place,
    ) -> Self {
        Self { feed, epoch, seen, types, head, is_at_head: false, _place: place }
    }

    /// It has told all events up to here that it was to tell. Whoever reads on from here misses none.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.seen
    }

    /// The next events, at least one; waits for it. It may be given up and called again.
    ///
    /// # Errors
    /// [`Error::EventsGone`] when it was so slow that what comes next is forgotten, or when the log is another one by now.
    pub async fn next(&mut self) -> Result<Vec<Arc<Told>>, Error> {
        loop {
            self.wait().await?;
            let piece = match self.take().await {
                Err(Error::Overloaded | Error::Unavailable | Error::Unusable) => {
                    sleep(RETRY + jitter()).await;
                    continue;
                }
                piece => piece?,
            };
            self.seen = piece.to;
            self.is_at_head = self.seen >= self.head.borrow().mark.position();
            if !piece.events.is_empty() {
                self.feed.count(&piece);
                return Ok(piece.events);
            }
        }
    }

    /// Waits until there is something that it has not seen.
    async fn wait(&mut self) -> Result<(), Error> {
        if self.is_at_head {
            // While there is always something new, readers come whenever this is over, and not all together when something is.
            sleep(SPREAD + jitter()).await;
            self.is_at_head = false;
        }
        let (epoch, seen) = (self.epoch, self.seen);
        let is_news = |head: &Head| head.epoch != epoch || head.mark.position() > seen;
        if is_news(&self.head.borrow()) {
            return Ok(());
        }
        self.head.wait_for(is_news).await.map_err(|_| Error::Unavailable)?;
        sleep(jitter()).await;
        Ok(())
    }

    async fn take(&self) -> Result<Piece, Error> {
        // Asked first: when the memory goes back so far, it may be further by then; when it does not, this is complete.
        let head = *self.head.borrow();
        match self.feed.recent(self.epoch, self.seen, &self.types)? {
            Some(piece) => Ok(piece),
            None => self.feed.past(self.seen, head.mark, &self.types).await,
        }
    }
}

fn jitter() -> Duration {
    SPREAD.mul_f64(fastrand::f64())
}
