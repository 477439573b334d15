//! Connects to the broker, waits to become the leader, and relays. Starts over after every failure.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use tokio::sync::watch;
use tokio::time::sleep;
use uuid::Uuid;

use super::backoff::backoff;
use super::broker::{Broker, BrokerError};
use super::session::{Ended, Refusal, Session};
use super::settings::Settings;
use crate::metrics::EventMetrics;
use crate::storage::{EventLog, Leadership};

/// The longest pause between two attempts to connect.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A connection that lasted this long resets the backoff.
const STABLE: Duration = Duration::from_mins(1);
/// How often a replica checks whether it leads.
const LEADER_INTERVAL: Duration = Duration::from_millis(500);
/// How long a leader may be silent before another replica takes over. It writes a heartbeat every second.
const LEADER_TIMEOUT: Duration = Duration::from_secs(3);

pub(super) struct Supervisor {
    /// Identifies this replica.
    me: Uuid,
    settings: Settings,
    log: EventLog,
    metrics: EventMetrics,
    stopped: watch::Receiver<bool>,
    /// Set if the broker closed the last channel because of an event.
    refusal: Option<Refusal>,
}

impl Supervisor {
    pub(super) fn new(
        settings: Settings,
        log: EventLog,
        metrics: EventMetrics,
        stopped: watch::Receiver<bool>,
    ) -> Self {
        Self { me: Uuid::new_v4(), settings, log, metrics, stopped, refusal: None }
    }

    pub(super) async fn run(mut self) {
        let mut failures = Failures::default();
        while !*self.stopped.borrow() {
            let began = Instant::now();
            let ended = AssertUnwindSafe(self.connect_and_relay(&mut failures)).catch_unwind().await;
            self.metrics.connected(false);
            self.metrics.leads(false);
            if let Err(error) = ended.unwrap_or(Err(BrokerError::Panic)) {
                // A channel that was closed because of an event is no failure of the broker.
                let is_refusal = self.refusal.is_some() && error.is_refusal();
                if began.elapsed() > STABLE || is_refusal {
                    failures.count = 0;
                }
                failures.add(&error);
                // The storage logs errors.
                let _ = self.log.stand_by().await;
                let _ = tokio::time::timeout(backoff(failures.count, LONGEST_PAUSE), self.stopped.changed()).await;
            }
        }
    }

    async fn connect_and_relay(&mut self, failures: &mut Failures) -> Result<(), BrokerError> {
        let mut stopped = self.stopped.clone();
        let broker = tokio::select! {
            broker = Broker::connect(&self.settings.url, &self.settings.source) => broker?,
            _ = stopped.changed() => return Ok(()),
        };
        log::info!("connected to the broker, {}", self.settings.url);
        failures.logged = None;
        self.metrics.connected(true);
        let ended = self.lead_and_relay(&broker).await;
        // If this fails, other replicas take over after the timeout.
        let _ = self.log.step_down(self.me).await;
        broker.close().await;
        ended
    }

    async fn lead_and_relay(&mut self, broker: &Broker) -> Result<(), BrokerError> {
        let (mut leader, mut stopped) = (LeaderHeartbeat::default(), self.stopped.clone());
        let mut lost = std::pin::pin!(broker.lost());
        loop {
            match self.log.lead(self.me, leader.expired()).await {
                Ok(Leadership::Me { sent_to }) => {
                    self.metrics.leads(true);
                    log::info!("relaying events, from the one after {sent_to} on");
                    let session = Session::new(self.me, &self.log, broker, &self.settings, &self.metrics, sent_to);
                    match session.run(self.refusal.take(), &mut stopped, lost.as_mut()).await {
                        Ended::Stopped => return Ok(()),
                        Ended::Lost(error) => return Err(error),
                        Ended::Refused(error, refusal) => {
                            self.refusal = Some(refusal);
                            return Err(error);
                        }
                        Ended::Overtaken => {
                            log::warn!("another replica relays by now, or the log of events is another one");
                        }
                        Ended::NoDatabase => log::warn!("no events are relayed until the database answers"),
                    }
                    self.metrics.leads(false);
                }
                Ok(Leadership::Other { beat }) => leader.observe(beat),
                // While the database is unavailable, the leader cannot write heartbeats.
                Err(_) => leader = LeaderHeartbeat::default(),
            }
            tokio::select! {
                error = lost.as_mut() => return Err(error),
                _ = stopped.changed() => return Ok(()),
                () = sleep(LEADER_INTERVAL) => {}
            }
        }
    }
}

/// The leader's last heartbeat, as observed by another replica, and when it was first seen.
#[derive(Default)]
struct LeaderHeartbeat(Option<(i64, Instant)>);

impl LeaderHeartbeat {
    fn observe(&mut self, beat: i64) {
        if self.0.is_none_or(|(last, _)| last != beat) {
            self.0 = Some((beat, Instant::now()));
        }
    }

    /// The last heartbeat, if the leader has been silent for too long since.
    fn expired(&self) -> Option<i64> {
        self.0.filter(|(_, since)| since.elapsed() > LEADER_TIMEOUT).map(|(beat, _)| beat)
    }
}

/// The failures in a row.
#[derive(Default)]
struct Failures {
    count: u32,
    /// The failure that was logged last.
    logged: Option<String>,
}

impl Failures {
    /// Counts a failure. Logs it only if it differs from the last one, so that a long outage is one line.
    fn add(&mut self, error: &BrokerError) {
        self.count = self.count.saturating_add(1);
        let text = error.to_string();
        if self.logged.as_ref() != Some(&text) {
            log::warn!("no events are relayed, trying again: {text}");
            self.logged = Some(text);
        }
    }
}
