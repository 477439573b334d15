//! The relay: sends events to a message broker over AMQP 0-9-1, such as RabbitMQ. Each event is sent at least once, and the
//! events of a user are sent in order.
//!
//! Requests do not wait for the relay, which reads the event log in the background. One of the replicas leads and sends. An event
//! counts as sent once the broker has confirmed it. The relay saves its progress in the log's own tables.

mod amqp_url;
mod backoff;
mod broker;
mod held_users;
mod progress;
mod session;
mod settings;
mod supervisor;
mod tcp;
mod window;

pub use amqp_url::AmqpUrl;
pub use settings::Settings;

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::metrics::EventMetrics;
use crate::storage::EventLog;
use supervisor::Supervisor;

/// The relay's thread.
pub struct Relay {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl Relay {
    /// Starts a thread that relays until it is stopped.
    ///
    /// # Errors
    /// When the thread or its runtime cannot be started.
    pub fn start(settings: Settings, log: &EventLog, metrics: EventMetrics) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = watch::channel(false);
        let supervisor = Supervisor::new(settings, log.with_own_permit(), metrics, stopped);
        let work = move || {
            runtime.block_on(supervisor.run());
            // Does not wait for the runtime's blocking threads: one may hang in a database call.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("relay".to_owned()).spawn(work)?;
        Ok(Self { stop, thread })
    }

    /// Asks the relay to save its progress and end. False if it has not ended after `timeout`. Blocks.
    #[must_use]
    pub fn stop(self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        self.stop.send_replace(true);
        while !self.thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.thread.is_finished()
    }
}
