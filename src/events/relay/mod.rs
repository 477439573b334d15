//! The relay: sends events to a message broker (AMQP 0-9-1, such as RabbitMQ), each at least once, and one user's in order.
//!
//! No request waits for it: it reads the log of events behind their back. Of all replicas one leads and sends. An event
//! counts as sent when the broker has confirmed it; how far that goes is written into the log itself.

mod amqp_url;
mod backoff;
mod broker;
mod held_users;
mod line;
mod progress;
mod session;
mod window;

use std::panic::AssertUnwindSafe;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use tokio::sync::watch;
use tokio::time::sleep;
use uuid::Uuid;

pub use amqp_url::AmqpUrl;

use crate::metrics::EventMetrics;
use crate::storage::{EventLog, Leadership};
use backoff::backoff;
use broker::{Broker, BrokerError};
use session::{Ended, Refusal, Session};

/// How the relay works.
#[derive(Clone, Debug)]
pub struct Settings {
    pub url: AmqpUrl,
    /// Who tells, as a URI reference.
    pub source: String,
    /// How often an event may be refused before it is given up.
    pub max_tries: i64,
}

/// How often the broker is tried again at the least.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A connection that held for so long was a good one.
const GOOD: Duration = Duration::from_mins(1);
/// How often a replica looks whether it leads.
const LOOK: Duration = Duration::from_millis(500);
/// A leader that gave no sign of life for so long is dead; it gives one a second.
const DEAD: Duration = Duration::from_secs(3);

/// The relay's thread.
pub struct Relay {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl Relay {
    /// Starts a thread that relays until it is told to stop.
    ///
    /// # Errors
    /// When the system gives no thread, or it cannot run anything.
    pub fn start(settings: Settings, log: &EventLog, metrics: EventMetrics) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = watch::channel(false);
        let log = log.with_own_permit();
        let supervisor = Supervisor { me: Uuid::new_v4(), settings, log, metrics, stopped, refusal: None };
        let work = move || {
            runtime.block_on(supervisor.run());
            // Without waiting for its other threads: one may hang in a call to the database.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("relay".to_owned()).spawn(work)?;
        Ok(Self { stop, thread })
    }

    /// Lets it write down what is sent, and end; false when it had not after `patience`. Blocks.
    #[must_use]
    pub fn stop(self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        self.stop.send_replace(true);
        while !self.thread.is_finished() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.thread.is_finished()
    }
}

/// Connects, leads, relays; and again, whatever happens.
struct Supervisor {
    /// This replica.
    me: Uuid,
    settings: Settings,
    log: EventLog,
    metrics: EventMetrics,
    stopped: watch::Receiver<bool>,
    /// An event that the broker closed the channel over.
    refusal: Option<Refusal>,
}

impl Supervisor {
    async fn run(mut self) {
        let mut trouble = Trouble::default();
        while !*self.stopped.borrow() {
            let began = Instant::now();
            let ended = AssertUnwindSafe(self.connect_and_relay(&mut trouble)).catch_unwind().await;
            self.metrics.connected(false);
            self.metrics.leads(false);
            if let Err(error) = ended.unwrap_or(Err(BrokerError::Panic)) {
                // An event that the broker closes the channel over is no trouble of the broker's.
                let is_the_events = self.refusal.is_some() && error.is_refusal();
                if began.elapsed() > GOOD || is_the_events {
                    trouble.failures = 0;
                }
                trouble.tell(&error);
                // If this fails, the database has other troubles, and tells.
                let _ = self.log.stand_by().await;
                let _ = tokio::time::timeout(backoff(trouble.failures, LONGEST_PAUSE), self.stopped.changed()).await;
            }
        }
    }

    async fn connect_and_relay(&mut self, trouble: &mut Trouble) -> Result<(), BrokerError> {
        let mut stopped = self.stopped.clone();
        let broker = tokio::select! {
            broker = Broker::connect(&self.settings.url, &self.settings.source) => broker?,
            _ = stopped.changed() => return Ok(()),
        };
        log::info!("connected to the broker, {}", self.settings.url);
        trouble.told = None;
        self.metrics.connected(true);
        let ended = self.lead_and_relay(&broker).await;
        // If this fails, others will notice by themselves.
        let _ = self.log.step_down(self.me).await;
        broker.close().await;
        ended
    }

    async fn lead_and_relay(&mut self, broker: &Broker) -> Result<(), BrokerError> {
        let (mut others, mut stopped) = (Others::default(), self.stopped.clone());
        let mut lost = std::pin::pin!(broker.lost());
        loop {
            match self.log.lead(self.me, others.last_beat()).await {
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
                Ok(Leadership::Other { beat }) => others.see(beat),
                // As long as the database is away, nobody can show a sign of life in it.
                Err(_) => others = Others::default(),
            }
            tokio::select! {
                error = lost.as_mut() => return Err(error),
                _ = stopped.changed() => return Ok(()),
                () = sleep(LOOK) => {}
            }
        }
    }
}

/// The leader's signs of life, seen by another replica.
#[derive(Default)]
struct Others {
    last: Option<(i64, Instant)>,
}

impl Others {
    fn see(&mut self, beat: i64) {
        if self.last.is_none_or(|(last, _)| last != beat) {
            self.last = Some((beat, Instant::now()));
        }
    }

    /// The leader's last one, if it is dead.
    fn last_beat(&self) -> Option<i64> {
        self.last.filter(|(_, since)| since.elapsed() > DEAD).map(|(beat, _)| beat)
    }
}

/// What has gone wrong in a row.
#[derive(Default)]
struct Trouble {
    failures: u32,
    /// What was told of it last.
    told: Option<String>,
}

impl Trouble {
    /// Logs what is news: a broker that is away for an hour is one line.
    fn tell(&mut self, error: &BrokerError) {
        self.failures = self.failures.saturating_add(1);
        let text = error.to_string();
        if self.told.as_ref() != Some(&text) {
            log::warn!("no events are relayed, trying again: {text}");
            self.told = Some(text);
        }
    }
}
