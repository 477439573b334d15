//! The entry for readers of the live stream, and where they start.
//!
//! A new reader requires a poll of the log that begins after its arrival, and waits for its end. Everything committed
//! later lies beyond that poll, so "from now on" begins there. A reader that names an offset is checked against the log
//! itself, because another replica may have read further than this one.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::format::EventType;
use super::hub::Hub;
use super::reader::Reader;
use super::ring::Epoch;
use super::settings::Settings;
use super::tail::tail;
use crate::domain::{Error, Position};
use crate::metrics::EventMetrics;
use crate::storage::{Checkpoint, EventLog};
use crate::telemetry::use_case;

/// The timeout for opening a reader, which involves the log.
const OPEN_TIMEOUT: Duration = Duration::from_secs(3);

/// The live feed of events. Clones are handles to the same feed.
#[derive(Clone)]
pub struct Feed(Arc<Hub>);

impl Feed {
    /// Creates the feed, and spawns the task that tails the log on the current runtime.
    #[must_use]
    pub fn start(settings: &Settings, log: &EventLog, metrics: &EventMetrics) -> Self {
        let hub = Arc::new(Hub::new(settings, log, metrics));
        tokio::spawn(tail(Arc::clone(&hub)));
        Self(hub)
    }

    /// Opens a reader of events of these types. It starts after the event at `seen`, or else with the events that are
    /// committed from now on. All of its events have positions after the one where it starts.
    ///
    /// # Errors
    /// [`Error::EventsGone`] when `seen` belongs to another log, or events after it were pruned; [`Error::Overloaded`]
    /// when there are too many readers; or errors of the log.
    pub async fn read(&self, seen: Option<Position>, types: Vec<EventType>) -> Result<Reader, Error> {
        let permit = self.0.admit_reader()?;
        let start = use_case("read_events", timeout(OPEN_TIMEOUT, self.start_position(seen)));
        let start = start.await.unwrap_or(Err(Error::Unavailable))?;
        Ok(Reader::new(Arc::clone(&self.0), start, types, permit))
    }

    /// Up to where the log is final: everything up to there is committed, and nothing more will be. A reader may start there
    /// at once.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the log cannot be read, or was replaced so recently that clients with this offset are
    /// taken for those of the log before; or errors of the log.
    pub async fn watermark(&self) -> Result<Checkpoint, Error> {
        let head = use_case("read_watermark", timeout(OPEN_TIMEOUT, self.0.poll_again()));
        let checkpoint = head.await.unwrap_or(Err(Error::Unavailable))?.checkpoint;
        if self.0.may_be_replaced(checkpoint.position()) { Err(Error::Unavailable) } else { Ok(checkpoint) }
    }

    async fn start_position(&self, seen: Option<Position>) -> Result<(Epoch, Position), Error> {
        let head = self.0.poll_again().await?;
        let Some(seen) = seen else { return Ok((head.epoch, head.checkpoint.position())) };
        self.0.log().ensure_reachable(seen).await?;
        if self.0.may_be_replaced(seen) { Err(Error::EventsGone) } else { Ok((head.epoch, seen)) }
    }
}
