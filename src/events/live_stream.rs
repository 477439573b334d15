use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::reader::Reader;
use super::told::Told;
use crate::net::Draining;
use crate::users::{Error, Position};

/// After how long without an event there is a sign of life.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What a client is sent that stays: events, signs of life between them, and an end, whichever protocol it comes by.
pub struct LiveStream {
    reader: Reader,
    draining: Draining,
    /// When its time is up. Beyond what a clock can tell there is no end.
    end: Option<Instant>,
}

/// What comes next.
pub enum Next {
    /// At least one.
    Events(Vec<Arc<Told>>),
    /// There was none for a while.
    Nothing,
    /// It is over. Whoever comes back, with the last position, misses nothing.
    End(End),
}

/// Why a stream is over.
pub enum End {
    TimeIsUp,
    /// The service is shutting down.
    Draining,
    /// The reader was too slow, or it is our own fault.
    Failed(Error),
}

impl LiveStream {
    /// A stream of what the reader reads, for no longer than this.
    #[must_use]
    pub fn new(reader: Reader, draining: Draining, time_left: Duration) -> Self {
        Self { reader, draining, end: Instant::now().checked_add(time_left) }
    }

    /// It has told all events up to here that it was to tell.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.reader.position()
    }

    /// Waits for what comes next.
    pub async fn next(&mut self) -> Next {
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
                Ok(Err(error)) => Next::End(End::Failed(error)),
                Err(_) if wake < heartbeat => Next::End(End::TimeIsUp),
                Err(_) => Next::Nothing,
            },
        }
    }
}
