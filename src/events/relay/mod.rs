//! The relay: sends events to a message broker over AMQP 0-9-1, such as RabbitMQ. Each event is sent at least once, and
//! the events of a user are sent in order.
//!
//! The relay has its own thread and its own runtime, and reads the event log in the background. No request waits for
//! it, it waits for no request, and no change knows whether there is a broker. One of the replicas leads
//! (`storage::event_log::lead`) and sends.
//!
//! An event counts as sent once the broker has confirmed it. The progress is one number, the published offset
//! (`sent_to` in the table `event_log`): all events up to it are sent, held or parked. So an event costs no write of
//! its own: no row is marked or deleted. Only events that the broker refuses get rows of their own.
//!
//! **Refused events.** The broker refuses an event by a negative confirm, or it closes the channel and with it
//! everything in flight. Then events are sent one by one for a while, to find the one at fault. A refused event moves
//! to the table `held_events`. So do all later events of its user, until the table holds no more of that user. The
//! published offset advances without them.
//!
//! **Failures of the broker** are no event's fault: no response, no exchange, no permission. The relay discards the
//! connection and tries another after a pause that grows to 30 s. lapin's own recovery is off, because it gives up
//! after a while.

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
