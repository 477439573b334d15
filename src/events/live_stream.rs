use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::reader::Reader;
use super::told::Told;
use crate::domain::{Error, Position};
use crate::net::Draining;

/// After how long without an event there is a sign of life.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// A place that no log ever reaches: whoever comes back with it is told to begin anew, by any replica. Its number is the
/// largest that JavaScript can tell from the next one.
const NOWHERE: Position = Position((1 << 53) - 1);

/// What a client is sent that stays: events, signs of life between them, and an end, whichever protocol it comes by.
pub struct LiveStream {
    reader: Reader,
    draining: Draining,
    /// What the reader has seen last is gone, and the client was told that it is nowhere.
    is_nowhere: bool,
    /// When its time is up. Beyond what a clock can tell there is no end.
    end: Option<Instant>,
}

/// What comes next.
pub enum Next {
    /// At least one.
    Events(Vec<Arc<Told>>),
    /// There was none for a while, or there will be none any more: the position says from where to go on.
    Nothing,
    /// It is over. Whoever comes back, with the last position, misses nothing.
    End(End),
}

/// Why a stream is over.
pub enum End {
    TimeIsUp,
    /// The service is shutting down.
    Draining,
    /// The reader was too slow, the log is another one, or it is our own fault.
    Failed(Error),
}

impl LiveStream {
    /// A stream of what the reader reads, for no longer than this.
    #[must_use]
    pub fn new(reader: Reader, draining: Draining, time_left: Duration) -> Self {
        Self { reader, draining, is_nowhere: false, end: Instant::now().checked_add(time_left) }
    }

    /// It has told all events up to here that it was to tell.
    #[must_use]
    pub const fn position(&self) -> Position {
        if self.is_nowhere { NOWHERE } else { self.reader.position() }
    }

    /// Waits for what comes next.
    pub async fn next(&mut self) -> Next {
        if self.is_nowhere {
            return Next::End(End::Failed(Error::EventsGone));
        }
        let now = Instant::now();
        // Also when there is always something to send.
        if self.end.is_some_and(|end| end <= now) {
            return Next::End(End::TimeIsUp);
        }
        let heartbeat = now + HEARTBEAT;
        let wake = self.end.map_or(heartbeat, |end| end.min(heartbeat));
        tokio::select! {
            biased;
            () = self.draining.has_begun() => Next::End(End::Draining),
            next = timeout_at(wake, self.reader.next()) => match next {
                Ok(Ok(events)) => Next::Events(events),
                Ok(Err(Error::EventsGone)) => {
                    // Its last place may be a good one in the log that there is now, and not every protocol can say why it ends.
                    self.is_nowhere = true;
                    Next::Nothing
                }
                Ok(Err(error)) => Next::End(End::Failed(error)),
                Err(_) if wake < heartbeat => Next::End(End::TimeIsUp),
                Err(_) => Next::Nothing,
            },
        }
    }
}
