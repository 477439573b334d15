//! What the task that tails the log shares with all readers of the live stream.
//!
//! **Epochs.** If the tail finds another log, the ring starts over in a new epoch. A reader belongs to the epoch in
//! which it began, and ends when it meets another one. What it reads from the log, behind the ring, is compared with
//! the head that it last saw. Its client gets a last offset that no log reaches ([`live_stream`](super::live_stream)),
//! so any replica answers its next request with 410: its own last offset may be valid in the new log.
//!
//! Clients that were disconnected at that moment are detected by their offsets, for a minute. A client that comes later
//! with an offset of the old log is believed, because an offset has no room to name its log.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

use super::format::{EventType, PublishedEvent};
use super::ring::{CHUNK, CHUNK_BYTES, Chunk, Epoch, Head, Ring};
use super::settings::Settings;
use crate::domain::{Error, Event, Position};
use crate::metrics::EventMetrics;
use crate::storage::{Checkpoint, EventLog};

/// How many of the last events are kept in memory for readers: some 3 MiB, or 40 s at 100 changes a second.
pub(super) const RING: u16 = 4096;
/// How long positions of a replaced log are recognized: clients that were disconnected meanwhile may return with them.
const REPLACED_FOR: Duration = Duration::from_mins(1);

pub(super) struct Hub {
    log: EventLog,
    source: String,
    metrics: EventMetrics,
    ring: RwLock<Ring>,
    /// How far the log has been followed. Readers wait for it to advance.
    head: watch::Sender<Head>,
    /// If the log was found to have been replaced: how far it had been followed, and when that was found.
    replaced: Mutex<Option<(Position, Instant)>>,
    /// How many polls of the log have begun.
    polls: AtomicU64,
    last_poll: watch::Sender<Poll>,
    /// Requests an immediate poll.
    poll_requests: Notify,
    reader_permits: Arc<Semaphore>,
    max_readers: usize,
    /// Only one of the readers that have fallen behind may read the log at a time, so that they do not delay its poll,
    /// which all others wait for.
    backfill: Semaphore,
}

/// A completed poll of the log: its number, and how far it got.
struct Poll {
    number: u64,
    result: Result<Head, Error>,
}

/// A reader's permit, which is returned when this is dropped.
pub(super) struct ReaderPermit {
    metrics: EventMetrics,
    _permit: OwnedSemaphorePermit,
}

impl Drop for ReaderPermit {
    fn drop(&mut self) {
        self.metrics.reader_left();
    }
}

impl Hub {
    pub(super) fn new(settings: &Settings, log: &EventLog, metrics: &EventMetrics) -> Self {
        Self {
            log: log.clone(),
            source: settings.source.clone(),
            metrics: metrics.clone(),
            ring: RwLock::new(Ring::new(RING.into())),
            head: watch::Sender::new(Head::default()),
            replaced: Mutex::new(None),
            polls: AtomicU64::new(0),
            last_poll: watch::Sender::new(Poll { number: 0, result: Ok(Head::default()) }),
            poll_requests: Notify::new(),
            reader_permits: Arc::new(Semaphore::new(settings.max_readers)),
            max_readers: settings.max_readers,
            backfill: Semaphore::new(1),
        }
    }

    pub(super) fn log(&self) -> &EventLog {
        &self.log
    }
}

/// For readers.
impl Hub {
    /// # Errors
    /// [`Error::Overloaded`] when there are too many readers.
    pub(super) fn admit_reader(&self) -> Result<ReaderPermit, Error> {
        let metrics = self.metrics.clone();
        let Ok(permit) = Arc::clone(&self.reader_permits).try_acquire_owned() else {
            metrics.reader_turned_away();
            return Err(Error::Overloaded);
        };
        metrics.reader_came();
        Ok(ReaderPermit { metrics, _permit: permit })
    }

    /// Waits for a poll of the log that has not begun yet, so that it sees everything that is committed by now. Returns
    /// how far the poll got.
    pub(super) async fn poll_again(&self) -> Result<Head, Error> {
        let number = self.polls.load(Ordering::SeqCst) + 1;
        let mut last_poll = self.last_poll.subscribe();
        self.poll_requests.notify_one();
        let poll = last_poll.wait_for(|poll| poll.number >= number).await;
        poll.map_or(Err(Error::Unavailable), |poll| poll.result.clone())
    }

    /// Whether a position may belong to a log that was recently replaced. The position itself does not show that if the
    /// new log has already reached it. A client that has it from the new log starts over needlessly, which does no
    /// harm.
    pub(super) fn may_be_replaced(&self, seen: Position) -> bool {
        let replaced = *self.replaced.lock().unwrap_or_else(PoisonError::into_inner);
        replaced.is_some_and(|(head, found)| seen <= head && found.elapsed() < REPLACED_FOR)
    }

    pub(super) fn watch_head(&self) -> watch::Receiver<Head> {
        self.head.subscribe()
    }

    /// The next chunk from memory, for a reader that has seen all events up to `seen` of this epoch. `None` if the ring
    /// no longer has all of the next events.
    pub(super) fn recent(&self, epoch: Epoch, seen: Position, types: &[EventType]) -> Result<Option<Chunk>, Error> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).next(epoch, seen, types)
    }

    /// The next chunk from the log, up to `head`.
    pub(super) async fn past(&self, seen: Position, head: Checkpoint, types: &[EventType]) -> Result<Chunk, Error> {
        let permit = self.backfill.acquire().await;
        let events = self.log.history(seen, head, CHUNK.into()).await?;
        drop(permit);
        let to = match events.last() {
            Some(last) if events.len() >= usize::from(CHUNK) => last.position,
            _ => head.position(),
        };
        let (mut chunk, mut bytes) = (Chunk { events: Vec::new(), to }, 0);
        for event in events {
            // What does not fit is read again for the next chunk.
            if bytes >= CHUNK_BYTES {
                break;
            }
            chunk.to = event.position;
            if types.contains(&EventType::of(&event)) {
                let event = PublishedEvent::new(event, &self.source);
                bytes += event.bytes();
                chunk.events.push(Arc::new(event));
            }
        }
        // Beyond the last event that was read lies nothing up to there.
        chunk.to = if bytes >= CHUNK_BYTES { chunk.to } else { to };
        Ok(chunk)
    }

    pub(super) fn count(&self, chunk: &Chunk) {
        self.metrics.streamed(chunk.events.len() as u64);
    }
}

/// For the task that tails the log.
impl Hub {
    pub(super) fn has_readers(&self) -> bool {
        self.reader_permits.available_permits() < self.max_readers
    }

    /// Waits for a request to poll the log immediately.
    pub(super) async fn poll_requested(&self) {
        self.poll_requests.notified().await;
    }

    /// Begins a poll and returns its number.
    pub(super) fn begin_poll(&self) -> u64 {
        self.polls.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(super) fn end_poll(&self, number: u64, result: Result<(), Error>) {
        let result = result.map(|()| *self.head.borrow());
        self.last_poll.send_replace(Poll { number, result });
    }

    /// Empties the ring and continues after this event, in a new epoch: current readers must start over. New readers
    /// get earlier events from the log.
    pub(super) fn restart(&self, after: Checkpoint) {
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        ring.restart(after);
        let head = ring.head();
        drop(ring);
        self.advance(head);
    }

    /// Records that the log was replaced after it had been followed up to here.
    pub(super) fn replaced(&self, followed_to: Position) {
        let mut replaced = self.replaced.lock().unwrap_or_else(PoisonError::into_inner);
        let before = replaced.filter(|(_, found)| found.elapsed() < REPLACED_FOR).map_or(followed_to, |(head, _)| head);
        *replaced = Some((followed_to.max(before), Instant::now()));
    }

    /// Publishes the next events of the log to the readers.
    pub(super) fn publish(&self, events: Vec<Event>) {
        let published = Vec::from_iter(events.into_iter().map(|event| PublishedEvent::new(event, &self.source)));
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        ring.extend(published);
        let head = ring.head();
        drop(ring);
        self.advance(head);
    }

    fn advance(&self, head: Head) {
        self.head.send_if_modified(|known| std::mem::replace(known, head) != head);
    }
}
