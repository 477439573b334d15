//! One replica's time as the leader, on one connection to the broker.

use std::pin::Pin;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::time::sleep_until;
use uuid::Uuid;

use super::Settings;
use super::broker::{Broker, BrokerError, Receipt};
use super::held_users::HeldUsers;
use super::progress::Progress;
use super::window::Window;
use crate::domain::{Error, Event, Position, Timestamp};
use crate::metrics::EventMetrics;
use crate::storage::{Checkpoint, Delivery, EventLog, Follower};
use crate::telemetry::Throttle;

/// Events read from the log at once.
const PAGE: i64 = 500;
/// Events that may be between the log and the broker.
const WINDOW: usize = 2000;
/// Events that the broker may have yet to confirm.
const ON_THEIR_WAY: usize = 1000;
/// How often the log is read, when there was nothing more in it.
const POLL: Duration = Duration::from_millis(100);
/// How long the last ones may take to arrive.
const LAST: Duration = Duration::from_secs(1);
/// How often the users with held events are looked up: somebody may have released some.
const LOOK_AT_HELD: Duration = Duration::from_secs(30);
/// The same when there were too many to know all of them.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// With as many of them, no more events are read: of all others it must be known that they are not held.
const MAX_HELD_USERS: usize = 10_000;
/// How many held events are tried again at once.
const RETRIES: usize = 50;

/// Why a session is over.
pub(super) enum Ended {
    /// The service shuts down.
    Stopped,
    /// Another replica leads, or the log is not what it was.
    Overtaken,
    /// The database does not answer. It may come back older than it went: what is known here is worth nothing then.
    NoDatabase,
    Lost(BrokerError),
    /// The broker has closed the channel because of this event.
    Refused(BrokerError, Refusal),
}

/// That the broker closed the channel over an event. Those that were sent with it are suspects too, so it is known which one
/// only if it was sent alone.
#[derive(Debug)]
pub(super) struct Refusal(Option<Box<Journey>>);

/// An event on its way to the broker, and back with its receipt.
#[derive(Debug)]
struct Journey {
    event: Event,
    /// How often it was refused before, if it is one that is held.
    held: Option<i64>,
    began: Instant,
}

type Arrival = (Journey, Result<Receipt, BrokerError>);

pub(super) struct Session<'a> {
    log: &'a EventLog,
    broker: &'a Broker,
    metrics: &'a EventMetrics,
    max_tries: i64,
    follower: Follower,
    window: Window,
    on_their_way: FuturesUnordered<BoxFuture<'static, Arrival>>,
    held: HeldUsers,
    progress: Progress<'a>,
    next_read: Instant,
    next_look: Instant,
    /// Whether all users with held events are known. Only then others may be read.
    knows_all_held: bool,
    /// So many are to be sent alone, to find out which of them the broker closes the channel over.
    alone: usize,
    /// This one has been found.
    refused: Option<Uuid>,
    refusals: Throttle,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        me: Uuid,
        log: &'a EventLog,
        broker: &'a Broker,
        settings: &Settings,
        metrics: &'a EventMetrics,
        sent_to: Position,
    ) -> Self {
        let now = Instant::now();
        Self {
            log,
            broker,
            metrics,
            max_tries: settings.max_tries,
            follower: Follower::after(Checkpoint::unknown(sent_to)),
            window: Window::default(),
            on_their_way: FuturesUnordered::new(),
            held: HeldUsers::default(),
            progress: Progress::new(me, log, sent_to),
            next_read: now,
            next_look: now,
            knows_all_held: false,
            alone: 0,
            refused: None,
            refusals: Throttle::default(),
        }
    }

    /// Relays until something ends it.
    pub(super) async fn run(
        mut self,
        refusal: Option<Refusal>,
        stopped: &mut watch::Receiver<bool>,
        mut lost: Pin<&mut impl Future<Output = BrokerError>>,
    ) -> Ended {
        self.recall(refusal).await;
        loop {
            if let Err(ended) = self.turn(stopped, lost.as_mut()).await {
                return ended;
            }
        }
    }

    /// Takes up what the session before ended with.
    async fn recall(&mut self, refusal: Option<Refusal>) {
        let Some(Refusal(suspect)) = refusal else { return };
        self.alone = WINDOW;
        let Some(Journey { event, held, .. }) = suspect.as_deref() else { return };
        if held.is_none() {
            // It is in the log, and will be read.
            self.refused = Some(event.id);
        } else if self
            .log
            .next_held(event.user_id)
            .await
            .is_ok_and(|next| next.is_some_and(|next| next.event == *event))
        {
            // Asked first: the log may be another one, where its place is another event's.
            self.refuse(event, *held);
        }
    }

    /// Does what there is to do, and waits until there is more.
    async fn turn(
        &mut self,
        stopped: &mut watch::Receiver<bool>,
        lost: Pin<&mut impl Future<Output = BrokerError>>,
    ) -> Result<(), Ended> {
        self.look_at_held().await?;
        self.read().await?;
        self.retry_held().await?;
        self.send_ready();
        let wake = self.next_wake().into();
        tokio::select! {
            biased;
            _ = stopped.changed() => return Err(self.stop().await),
            Some(arrival) = self.on_their_way.next() => {
                if let Err(ended) = self.arrived(arrival) {
                    // What is known is worth writing down.
                    self.write_down().await?;
                    return Err(ended);
                }
            }
            error = lost => return Err(Ended::Lost(error)),
            () = sleep_until(wake) => {}
        }
        if self.progress.due(self.finished_to()) <= Instant::now() { self.write_down().await } else { Ok(()) }
    }

    /// Looks, now and then, whose events are held: a session before this one may have held some, and somebody may have
    /// released some.
    async fn look_at_held(&mut self) -> Result<(), Ended> {
        if Instant::now() < self.next_look {
            return Ok(());
        }
        let limit = i64::try_from(MAX_HELD_USERS).unwrap_or(i64::MAX);
        let users = self.log.held_users(limit).await.map_err(|_| Ended::NoDatabase)?;
        self.knows_all_held = users.len() < MAX_HELD_USERS;
        self.next_look = Instant::now() + if self.knows_all_held { LOOK_AT_HELD } else { LOOK_AGAIN };
        for (user, tries) in users {
            self.held.add(user, tries);
        }
        Ok(())
    }

    /// Reads on in the log, if it is time and there is room.
    async fn read(&mut self) -> Result<(), Ended> {
        if Instant::now() < self.next_read || !self.has_room() {
            return Ok(());
        }
        let read = self.log.follow(self.follower.clone(), PAGE).await;
        let (follower, events) = read.map_err(|error| match error {
            Error::EventsGone => Ended::Overtaken,
            _ => Ended::NoDatabase,
        })?;
        let is_page_full = i64::try_from(events.len()).is_ok_and(|read| read == PAGE);
        self.next_read = Instant::now() + if is_page_full { Duration::ZERO } else { POLL };
        self.follower = follower;
        for event in events {
            if self.held.contains(event.user_id) {
                self.progress.note([Delivery::Waiting { event: event.position, user: event.user_id, tries: 0 }]);
            } else {
                self.window.add(event);
            }
        }
        Ok(())
    }

    fn has_room(&self) -> bool {
        let is_known = self.knows_all_held && self.held.len() < MAX_HELD_USERS;
        is_known && self.window.len() + self.progress.fates() < WINDOW
    }

    /// Tries events again that were refused, when their time has come. Not while there are others of the same user on their
    /// way: those of an event that was released may be.
    async fn retry_held(&mut self) -> Result<(), Ended> {
        for user in self.held.due(RETRIES, |user| !self.window.has(user)) {
            if self.on_their_way.len() >= self.most_on_their_way() {
                break;
            }
            // What is found must not be older than what is known here.
            if self.progress.fates() > 0 {
                self.write_down().await?;
            }
            match self.log.next_held(user).await.map_err(|_| Ended::NoDatabase)? {
                Some(held) => {
                    self.held.sending(user);
                    self.send(held.event, Some(held.tries));
                }
                None => self.held.remove(user),
            }
        }
        Ok(())
    }

    fn send_ready(&mut self) {
        while self.on_their_way.len() < self.most_on_their_way() {
            let Some(event) = self.window.next() else { return };
            self.send(event, None);
        }
    }

    fn most_on_their_way(&self) -> usize {
        if self.alone > 0 { 1 } else { ON_THEIR_WAY }
    }

    fn send(&mut self, event: Event, held: Option<i64>) {
        self.alone = self.alone.saturating_sub(1);
        if self.refused == Some(event.id) {
            self.refused = None;
            self.refuse(&event, held);
            return;
        }
        let receipt = self.broker.publish(&event);
        let journey = Journey { event, held, began: Instant::now() };
        self.on_their_way.push(async move { (journey, receipt.await) }.boxed());
    }

    /// Notes what the broker says of events: of this one, and of those that it has told about by now.
    fn arrived(&mut self, arrival: Arrival) -> Result<(), Ended> {
        let mut next = Some(arrival);
        while let Some((journey, receipt)) = next {
            match receipt {
                Ok(Receipt::Refused) => self.refuse(&journey.event, journey.held),
                Ok(receipt) => self.sent(&journey, receipt),
                Err(error) if error.is_refusal() => {
                    let suspect = self.on_their_way.is_empty().then(|| Box::new(journey));
                    return Err(Ended::Refused(error, Refusal(suspect)));
                }
                Err(error) => return Err(Ended::Lost(error)),
            }
            next = self.on_their_way.next().now_or_never().flatten();
        }
        Ok(())
    }

    fn sent(&mut self, Journey { event, held, began }: &Journey, receipt: Receipt) {
        self.metrics.published(began.elapsed(), receipt == Receipt::Routed);
        if held.is_some() {
            self.progress.note([Delivery::Published { event: event.position }]);
            self.held.retry(event.user_id, 0);
        } else {
            self.window.finish(event);
        }
    }

    /// Holds an event back, and with it what its user has waiting; or gives it up.
    fn refuse(&mut self, event: &Event, held: Option<i64>) {
        self.metrics.refused();
        let tries = held.unwrap_or_default() + 1;
        let (position, user) = (event.position, event.user_id);
        if tries < self.max_tries {
            if let Some(more) = self.refusals.admit() {
                log::warn!("the broker refuses event {} at {position}: refused {tries} times{more}", event.id);
            }
            self.progress.note([Delivery::Waiting { event: position, user, tries }]);
            self.held.retry(user, tries);
        } else {
            log::error!("the broker refuses event {} at {position}: given up", event.id);
            self.metrics.gave_up();
            self.progress.note([Delivery::Parked { event: position, user, tries, at: Timestamp::now() }]);
            self.held.retry(user, 0);
        }
        if held.is_none() {
            let behind = self.window.give_up(event).into_iter();
            self.progress.note(behind.map(|event| Delivery::Waiting { event: event.position, user, tries: 0 }));
        }
    }

    fn finished_to(&self) -> Position {
        self.window.finished_to(self.follower.position())
    }

    async fn write_down(&mut self) -> Result<(), Ended> {
        match self.progress.write(self.finished_to(), self.follower.checkpoint()).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Ended::Overtaken),
            Err(_) => Err(Ended::NoDatabase),
        }
    }

    /// Waits a little for what is on its way, and writes it down.
    async fn stop(&mut self) -> Ended {
        let patience = tokio::time::Instant::now() + LAST;
        while let Ok(Some(arrival)) = tokio::time::timeout_at(patience, self.on_their_way.next()).await {
            if self.arrived(arrival).is_err() {
                break;
            }
        }
        let _ = self.write_down().await;
        Ended::Stopped
    }

    fn next_wake(&self) -> Instant {
        let write = self.progress.due(self.finished_to());
        let read = if self.has_room() { self.next_read } else { write };
        // What is held waits for room too.
        let retry = self.held.next_due().map(|due| due.max(Instant::now() + POLL));
        [write, read, self.next_look].into_iter().chain(retry).min().unwrap_or(write)
    }
}
