//! A replica's term as the leader, on one connection to the broker.

use std::pin::Pin;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::time::sleep_until;
use uuid::Uuid;

use super::broker::{Broker, BrokerError, Receipt};
use super::held_users::HeldUsers;
use super::progress::Progress;
use super::settings::Settings;
use super::window::Window;
use crate::domain::{Error, Event, Position, Timestamp};
use crate::metrics::EventMetrics;
use crate::storage::{Checkpoint, DeliveryOutcome, EventLog, Follower};
use crate::telemetry::Throttle;

/// The number of events per read of the log.
const PAGE: i64 = 500;
/// The most events between the log and the broker.
const WINDOW: usize = 2000;
/// The most events that the broker has yet to confirm.
const MAX_IN_FLIGHT: usize = 1000;
/// The interval between reads of the log after a page that was not full.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// How long a session that stops waits for confirms.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);
/// How often the users with held events are looked up, because an operator may have released some.
const HELD_INTERVAL: Duration = Duration::from_secs(30);
/// The same if there were too many to know all of them.
const HELD_RETRY: Duration = Duration::from_secs(1);
/// With this many users with held events, no more events are read: for every other user the session must know that it
/// has none.
const MAX_HELD_USERS: usize = 10_000;
/// The most held events that are retried at a time.
const MAX_RETRIES: usize = 50;

/// Why a session ended.
pub(super) enum Ended {
    /// The service shuts down.
    Stopped,
    /// Another replica leads, or the log was replaced.
    Overtaken,
    /// The database is unavailable. It may return in an older state, so what the session knows is no longer valid.
    NoDatabase,
    Lost(BrokerError),
    /// The broker closed the channel because of an event.
    Refused(BrokerError, Refusal),
}

/// The broker closed the channel because of an event. The event is known only if it was the only one in flight.
#[derive(Debug)]
pub(super) struct Refusal(Option<Box<Delivery>>);

/// An event in flight: published, but not confirmed.
#[derive(Debug)]
struct Delivery {
    event: Event,
    /// For a held event, how often it was refused before.
    held: Option<i64>,
    began: Instant,
}

type Response = (Delivery, Result<Receipt, BrokerError>);

pub(super) struct Session<'a> {
    log: &'a EventLog,
    broker: &'a Broker,
    metrics: &'a EventMetrics,
    max_tries: i64,
    follower: Follower,
    window: Window,
    in_flight: FuturesUnordered<BoxFuture<'static, Response>>,
    held: HeldUsers,
    progress: Progress<'a>,
    next_read: Instant,
    next_lookup: Instant,
    /// Whether all users with held events are known. Only then may the session read further events.
    knows_all_held: bool,
    /// How many of the next events to send one at a time, to find the one that the broker refuses.
    alone: usize,
    /// The event that the broker refuses, once it is found.
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
            in_flight: FuturesUnordered::new(),
            held: HeldUsers::default(),
            progress: Progress::new(me, log, sent_to),
            next_read: now,
            next_lookup: now,
            knows_all_held: false,
            alone: 0,
            refused: None,
            refusals: Throttle::default(),
        }
    }

    /// Relays until the session ends.
    pub(super) async fn run(
        mut self,
        refusal: Option<Refusal>,
        stopped: &mut watch::Receiver<bool>,
        mut lost: Pin<&mut impl Future<Output = BrokerError>>,
    ) -> Ended {
        self.recall(refusal).await;
        loop {
            if let Err(ended) = self.step(stopped, lost.as_mut()).await {
                return ended;
            }
        }
    }

    /// Takes up the refusal that ended the previous session.
    async fn recall(&mut self, refusal: Option<Refusal>) {
        let Some(Refusal(suspect)) = refusal else { return };
        self.alone = WINDOW;
        let Some(Delivery { event, held, .. }) = suspect.as_deref() else { return };
        if held.is_none() {
            // The event is in the log and will be read again.
            self.refused = Some(event.id);
        } else if self
            .log
            .next_held(event.user_id)
            .await
            .is_ok_and(|next| next.is_some_and(|next| next.event == *event))
        {
            // Compared first, because in a replaced log another event may have its position.
            self.refuse(event, *held);
        }
    }

    /// Does everything that is due, and waits until there is more to do.
    async fn step(
        &mut self,
        stopped: &mut watch::Receiver<bool>,
        lost: Pin<&mut impl Future<Output = BrokerError>>,
    ) -> Result<(), Ended> {
        self.look_up_held().await?;
        self.read().await?;
        self.retry_held().await?;
        self.send_ready();
        let wake = self.next_wake().into();
        tokio::select! {
            biased;
            _ = stopped.changed() => return Err(self.stop().await),
            Some(response) = self.in_flight.next() => {
                if let Err(ended) = self.handle(response) {
                    // The progress so far is still valid.
                    self.save_progress().await?;
                    return Err(ended);
                }
            }
            error = lost => return Err(Ended::Lost(error)),
            () = sleep_until(wake) => {}
        }
        if self.progress.due(self.finished_to()) <= Instant::now() { self.save_progress().await } else { Ok(()) }
    }

    /// Looks up at intervals which users have held events. A previous session may have held some, and an operator may
    /// have released some.
    async fn look_up_held(&mut self) -> Result<(), Ended> {
        if Instant::now() < self.next_lookup {
            return Ok(());
        }
        let limit = i64::try_from(MAX_HELD_USERS).unwrap_or(i64::MAX);
        let users = self.log.held_users(limit).await.map_err(|_| Ended::NoDatabase)?;
        self.knows_all_held = users.len() < MAX_HELD_USERS;
        self.next_lookup = Instant::now() + if self.knows_all_held { HELD_INTERVAL } else { HELD_RETRY };
        for (user, tries) in users {
            self.held.add(user, tries);
        }
        Ok(())
    }

    /// Reads the next events of the log if that is due and there is room.
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
        self.next_read = Instant::now() + if is_page_full { Duration::ZERO } else { POLL_INTERVAL };
        self.follower = follower;
        for event in events {
            if self.held.contains(event.user_id) {
                self.progress.note([DeliveryOutcome::Waiting { event: event.position, user: event.user_id, tries: 0 }]);
            } else {
                self.window.add(event);
            }
        }
        Ok(())
    }

    fn has_room(&self) -> bool {
        let is_known = self.knows_all_held && self.held.len() < MAX_HELD_USERS;
        is_known && self.window.len() + self.progress.outcomes() < WINDOW
    }

    /// Retries held events that are due. Not while other events of the same user are in flight: those may belong to a
    /// released event.
    async fn retry_held(&mut self) -> Result<(), Ended> {
        for user in self.held.due(MAX_RETRIES, |user| !self.window.has(user)) {
            if self.in_flight.len() >= self.max_in_flight() {
                break;
            }
            // The lookup must not return a state older than the one known here.
            if self.progress.outcomes() > 0 {
                self.save_progress().await?;
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
        while self.in_flight.len() < self.max_in_flight() {
            let Some(event) = self.window.next() else { return };
            self.send(event, None);
        }
    }

    fn max_in_flight(&self) -> usize {
        if self.alone > 0 { 1 } else { MAX_IN_FLIGHT }
    }

    fn send(&mut self, event: Event, held: Option<i64>) {
        self.alone = self.alone.saturating_sub(1);
        if self.refused == Some(event.id) {
            self.refused = None;
            self.refuse(&event, held);
            return;
        }
        let receipt = self.broker.publish(&event);
        let delivery = Delivery { event, held, began: Instant::now() };
        self.in_flight.push(async move { (delivery, receipt.await) }.boxed());
    }

    /// Handles a response of the broker, and all further ones that have arrived.
    fn handle(&mut self, response: Response) -> Result<(), Ended> {
        let mut next = Some(response);
        while let Some((delivery, receipt)) = next {
            match receipt {
                Ok(Receipt::Refused) => self.refuse(&delivery.event, delivery.held),
                Ok(receipt) => self.sent(&delivery, receipt),
                Err(error) if error.is_refusal() => {
                    let suspect = self.in_flight.is_empty().then(|| Box::new(delivery));
                    return Err(Ended::Refused(error, Refusal(suspect)));
                }
                Err(error) => return Err(Ended::Lost(error)),
            }
            next = self.in_flight.next().now_or_never().flatten();
        }
        Ok(())
    }

    fn sent(&mut self, Delivery { event, held, began }: &Delivery, receipt: Receipt) {
        self.metrics.published(began.elapsed(), receipt == Receipt::Routed);
        if held.is_some() {
            self.progress.note([DeliveryOutcome::Published { event: event.position }]);
            self.held.retry(event.user_id, 0);
        } else {
            self.window.finish(event);
        }
    }

    /// Holds a refused event together with its user's later events, or parks it after too many attempts.
    fn refuse(&mut self, event: &Event, held: Option<i64>) {
        self.metrics.refused();
        let tries = held.unwrap_or_default() + 1;
        let (position, user) = (event.position, event.user_id);
        if tries < self.max_tries {
            if let Some(more) = self.refusals.admit() {
                log::warn!("the broker refuses event {} at {position}: refused {tries} times{more}", event.id);
            }
            self.progress.note([DeliveryOutcome::Waiting { event: position, user, tries }]);
            self.held.retry(user, tries);
        } else {
            log::error!("the broker refuses event {} at {position}: given up", event.id);
            self.metrics.gave_up();
            self.progress.note([DeliveryOutcome::Parked { event: position, user, tries, at: Timestamp::now() }]);
            self.held.retry(user, 0);
        }
        if held.is_none() {
            let behind = self.window.remove_refused(event).into_iter();
            self.progress.note(behind.map(|event| DeliveryOutcome::Waiting { event: event.position, user, tries: 0 }));
        }
    }

    fn finished_to(&self) -> Position {
        self.window.finished_to(self.follower.position())
    }

    async fn save_progress(&mut self) -> Result<(), Ended> {
        match self.progress.save(self.finished_to(), self.follower.checkpoint()).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Ended::Overtaken),
            Err(_) => Err(Ended::NoDatabase),
        }
    }

    /// Waits briefly for the events in flight, and saves the progress.
    async fn stop(&mut self) -> Ended {
        let deadline = tokio::time::Instant::now() + STOP_TIMEOUT;
        while let Ok(Some(response)) = tokio::time::timeout_at(deadline, self.in_flight.next()).await {
            if self.handle(response).is_err() {
                break;
            }
        }
        let _ = self.save_progress().await;
        Ended::Stopped
    }

    fn next_wake(&self) -> Instant {
        let save = self.progress.due(self.finished_to());
        let read = if self.has_room() { self.next_read } else { save };
        // Retries wait for room as well, so they are not polled too often.
        let retry = self.held.next_due().map(|due| due.max(Instant::now() + POLL_INTERVAL));
        [save, read, self.next_lookup].into_iter().chain(retry).min().unwrap_or(save)
    }
}
