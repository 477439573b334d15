//! What all readers of the live stream have in common.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;

use super::Settings;
use super::cloud_event::EventType;
use super::keep_up::keep_up;
use super::reader::Reader;
use super::ring::{Epoch, Head, PIECE, Piece, Ring};
use super::told::Told;
use crate::domain::{Error, Event, Position};
use crate::metrics::EventMetrics;
use crate::storage::{Checkpoint, EventLog};
use crate::telemetry::use_case;

/// How many of the last events are kept for readers: some 3 MiB, or 40 s at 100 changes a second.
pub(super) const RING: u16 = 4096;
/// How long a reader that comes waits for the log.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long clients may take to come back with places of a log that was replaced while they were away.
const LATE: Duration = Duration::from_mins(1);

/// The events as they happen. Cloning gives another handle to the same feed.
#[derive(Clone)]
pub struct Feed(Arc<Shared>);

struct Shared {
    log: EventLog,
    source: String,
    metrics: EventMetrics,
    ring: RwLock<Ring>,
    /// How far the log was followed. Readers wait for it.
    head: watch::Sender<Head>,
    /// How far the log was followed that was found replaced, and when.
    replaced: Mutex<Option<(Position, Instant)>>,
    /// How many looks at the log have begun, and how the last one ended.
    begun: AtomicU64,
    ended: watch::Sender<Look>,
    /// Somebody wants a look at once.
    wanted: Notify,
    places: Arc<Semaphore>,
    max_readers: usize,
    /// Of those who are behind, one may read the log: what all others wait for must not wait for them.
    behind: Semaphore,
}

/// A look at the log, by its number, and how far it went.
struct Look {
    number: u64,
    result: Result<Head, Error>,
}

/// A reader's place among them, until it is dropped.
pub(super) struct Place {
    metrics: EventMetrics,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.metrics.reader_left();
    }
}

impl Feed {
    /// Begins to follow the log for whoever will read, on the runtime of the caller.
    #[must_use]
    pub fn start(settings: &Settings, log: &EventLog, metrics: &EventMetrics) -> Self {
        let feed = Self::new(settings, log, metrics);
        tokio::spawn(keep_up(feed.clone()));
        feed
    }

    fn new(settings: &Settings, log: &EventLog, metrics: &EventMetrics) -> Self {
        Self(Arc::new(Shared {
            log: log.clone(),
            source: settings.source.clone(),
            metrics: metrics.clone(),
            ring: RwLock::new(Ring::new(RING.into())),
            head: watch::Sender::new(Head::default()),
            replaced: Mutex::new(None),
            begun: AtomicU64::new(0),
            ended: watch::Sender::new(Look { number: 0, result: Ok(Head::default()) }),
            wanted: Notify::new(),
            places: Arc::new(Semaphore::new(settings.max_readers)),
            max_readers: settings.max_readers,
            behind: Semaphore::new(1),
        }))
    }

    /// A reader of events of these types: of those after the one that it has seen last, or else of those that are committed
    /// from now on. All of them are at places after the one where it begins.
    ///
    /// # Errors
    /// [`Error::EventsGone`] when it has seen another log, or some of what it has not seen is forgotten;
    /// [`Error::Overloaded`] when there are too many readers; or the log's own errors.
    pub async fn read(&self, seen: Option<Position>, types: Vec<EventType>) -> Result<Reader, Error> {
        let place = self.take_place()?;
        let begin = use_case("read_events", timeout(PATIENCE, self.begin(seen)));
        let seen = begin.await.unwrap_or(Err(Error::Unavailable))?;
        Ok(Reader::new(self.clone(), seen, types, self.0.head.subscribe(), place))
    }

    async fn begin(&self, seen: Option<Position>) -> Result<(Epoch, Position), Error> {
        let head = self.looked_once_more().await?;
        let Some(seen) = seen else { return Ok((head.epoch, head.mark.position())) };
        self.log().ensure_reachable(seen).await?;
        if self.may_be_replaced(seen) { Err(Error::EventsGone) } else { Ok((head.epoch, seen)) }
    }

    /// Whether a place may have been told of a log that was replaced just now. Its position does not show it, if the new log
    /// has got so far. Whoever has it from the new one begins anew without need, which does no harm.
    fn may_be_replaced(&self, seen: Position) -> bool {
        let replaced = *self.0.replaced.lock().unwrap_or_else(PoisonError::into_inner);
        replaced.is_some_and(|(head, found)| seen <= head && found.elapsed() < LATE)
    }

    fn take_place(&self) -> Result<Place, Error> {
        let metrics = self.0.metrics.clone();
        let Ok(permit) = Arc::clone(&self.0.places).try_acquire_owned() else {
            metrics.reader_turned_away();
            return Err(Error::Overloaded);
        };
        metrics.reader_came();
        Ok(Place { metrics, _permit: permit })
    }

    /// Waits for the end of a look at the log that has yet to begin: whatever is committed by now is seen then. Returns how far
    /// it went.
    async fn looked_once_more(&self) -> Result<Head, Error> {
        let number = self.0.begun.load(Ordering::SeqCst) + 1;
        let mut ended = self.0.ended.subscribe();
        self.0.wanted.notify_one();
        let look = ended.wait_for(|look| look.number >= number).await;
        look.map_or(Err(Error::Unavailable), |look| look.result.clone())
    }
}

/// For those who read.
impl Feed {
    pub(super) fn log(&self) -> &EventLog {
        &self.0.log
    }

    /// What comes next for whoever has seen all events up to there, in this epoch. `None` if that is no longer in memory.
    pub(super) fn recent(&self, epoch: Epoch, seen: Position, types: &[EventType]) -> Result<Option<Piece>, Error> {
        self.0.ring.read().unwrap_or_else(PoisonError::into_inner).next(epoch, seen, types)
    }

    /// The same from the log, where it was followed already.
    pub(super) async fn past(&self, seen: Position, head: Checkpoint, types: &[EventType]) -> Result<Piece, Error> {
        let turn = self.0.behind.acquire().await;
        let events = self.log().history(seen, head, PIECE.into()).await?;
        drop(turn);
        let to = match events.last() {
            Some(last) if events.len() >= usize::from(PIECE) => last.position,
            _ => head.position(),
        };
        let wanted = events.into_iter().filter(|event| types.contains(&EventType::of(event)));
        Ok(Piece { events: wanted.map(|event| Arc::new(Told::new(event, &self.0.source))).collect(), to })
    }

    pub(super) fn count(&self, piece: &Piece) {
        self.0.metrics.streamed(piece.events.len() as u64);
    }
}

/// For the one who follows the log.
impl Feed {
    pub(super) fn has_readers(&self) -> bool {
        self.0.places.available_permits() < self.0.max_readers
    }

    /// Waits until a look at the log is wanted.
    pub(super) async fn wanted(&self) {
        self.0.wanted.notified().await;
    }

    /// A look at the log begins. Returns its number.
    pub(super) fn begin_look(&self) -> u64 {
        self.0.begun.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(super) fn end_look(&self, number: u64, result: Result<(), Error>) {
        let result = result.map(|()| *self.0.head.borrow());
        self.0.ended.send_replace(Look { number, result });
    }

    /// Goes on after this event; those before are for the log to tell. Whoever reads is to begin anew.
    pub(super) fn restart(&self, after: Checkpoint) {
        let mut ring = self.0.ring.write().unwrap_or_else(PoisonError::into_inner);
        ring.restart(after);
        let head = ring.head();
        drop(ring);
        self.announce(head);
    }

    /// The log was found to be another one than that which was followed up to there.
    pub(super) fn replaced(&self, followed_to: Position) {
        let mut replaced = self.0.replaced.lock().unwrap_or_else(PoisonError::into_inner);
        let before = replaced.filter(|(_, found)| found.elapsed() < LATE).map_or(followed_to, |(head, _)| head);
        *replaced = Some((followed_to.max(before), Instant::now()));
    }

    /// Tells the next events of the log.
    pub(super) fn tell(&self, events: Vec<Event>) {
        let told = Vec::from_iter(events.into_iter().map(|event| Told::new(event, &self.0.source)));
        let mut ring = self.0.ring.write().unwrap_or_else(PoisonError::into_inner);
        ring.extend(told);
        let head = ring.head();
        drop(ring);
        self.announce(head);
    }

    fn announce(&self, head: Head) {
        self.0.head.send_if_modified(|known| std::mem::replace(known, head) != head);
    }
}
