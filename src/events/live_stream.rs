//! The stream that a client receives over either protocol. It does not outlive the client's token: the gate passes the
//! time that a token has left to this route only.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::format::PublishedEvent;
use super::reader::Reader;
use crate::domain::{Error, Position};
use crate::net::Draining;

/// After how long without an event the stream sends a heartbeat.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// A position that no log ever reaches. Any replica tells a client that resumes from it to start over. It is the
/// largest integer that JavaScript can tell from its successor.
const UNREACHABLE: Position = Position((1 << 53) - 1);

/// The stream that a client receives over either protocol: events, heartbeats between them, and an end.
pub struct LiveStream {
    reader: Reader,
    draining: Draining,
    /// Whether the next events are gone, and the client was sent the unreachable position.
    is_gone: bool,
    /// The deadline. `None` if it is beyond the range of the clock.
    end: Option<Instant>,
}

/// The next item of a stream.
pub enum Next {
    /// At least one event.
    Events(Vec<Arc<PublishedEvent>>),
    /// A heartbeat: there was no event for a while, or there will be no more. The stream's position has the place to
    /// resume from.
    Nothing,
    /// The stream is over. A client that resumes from the last position misses nothing.
    End(End),
}

/// Why a stream ends.
pub enum End {
    TimeIsUp,
    /// The service shuts down.
    Draining,
    /// The reader was too slow, the log was replaced, or the service failed.
    Failed(Error),
}

impl LiveStream {
    /// Streams what the reader reads, for up to `time_left`.
    #[must_use]
    pub fn new(reader: Reader, draining: Draining, time_left: Duration) -> Self {
        Self { reader, draining, is_gone: false, end: Instant::now().checked_add(time_left) }
    }

    /// The position up to which the stream has returned all of its events.
    #[must_use]
    pub const fn position(&self) -> Position {
        if self.is_gone { UNREACHABLE } else { self.reader.position() }
    }

    /// Waits for the next item.
    pub async fn next(&mut self) -> Next {
        if self.is_gone {
            return Next::End(End::Failed(Error::EventsGone));
        }
        let now = Instant::now();
        // Checked first, because there may always be an event to send.
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
                    // The last position may be valid in the new log, and not every protocol can report why a stream
                    // ends. So the client gets a position that is valid in no log.
                    self.is_gone = true;
                    Next::Nothing
                }
                Ok(Err(error)) => Next::End(End::Failed(error)),
                Err(_) if wake < heartbeat => Next::End(End::TimeIsUp),
                Err(_) => Next::Nothing,
            },
        }
    }
}
