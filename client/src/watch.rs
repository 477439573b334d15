//! [`Client::watch_users`]: a stream of changes that reconnects.

use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::time::{sleep, timeout};

use crate::client::Client;
use crate::error::{Error, Failed};
use crate::event::{Notice, Notices, WatchUsers};
use crate::retry::{Pauses, pauses};

/// The service sends at least a heartbeat every 15 s. A connection that was silent for this long is lost.
const SILENCE: Duration = Duration::from_secs(45);
/// Spreads out the reconnects when a replica goes away and drops all of its streams.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

impl Client {
    /// Watches changes of users as they happen.
    ///
    /// When the connection is lost, the stream waits, reconnects, and resumes after the last position that it returned.
    /// No event is missed or repeated. Once the stream has begun, it reconnects for as long as it is polled. To detect
    /// a long outage, wait for the next [`Notice`] with a timeout of a minute: heartbeats come more often than that.
    ///
    /// To mirror all users, begin with [`export_users`](Self::export_users), and watch after it.
    ///
    /// # Errors
    /// [`Code::EventsGone`](crate::Code::EventsGone) when events after the position have been pruned: start over.
    /// Errors that a reconnect cannot fix, such as [`Code::InsufficientScope`](crate::Code::InsufficientScope). At the
    /// beginning, every error that a call can return. The stream ends after an error.
    #[must_use]
    pub fn watch_users(&self, watch: WatchUsers) -> BoxStream<'static, Result<Notice, Error>> {
        let client = self.clone();
        let watching = Watching { client, watch, notices: None, received: 0, pauses: new_pauses(), has_begun: false };
        let notices = stream::try_unfold(watching, async |mut watching| {
            let notice = watching.next().await?;
            Ok(Some((notice, watching)))
        });
        notices.boxed()
    }
}

struct Watching {
    client: Client,
    /// Resumes after the last position that the stream returned.
    watch: WatchUsers,
    /// The open connection, if there is one.
    notices: Option<Notices>,
    /// How many notices this connection has delivered.
    received: u64,
    pauses: Pauses,
    has_begun: bool,
}

impl Watching {
    async fn next(&mut self) -> Result<Notice, Error> {
        loop {
            let notices = match &mut self.notices {
                Some(notices) => notices,
                none => none.insert(open(&self.client, &self.watch, self.has_begun, &mut self.pauses).await?),
            };
            match timeout(SILENCE, notices.next()).await {
                Ok(Some(Ok(notice))) => return Ok(self.advance(notice)),
                Ok(Some(Err(failed))) if self.is_permanent(&failed) => return Err(self.client.stream_error(failed)),
                // Reconnecting shows whether the failure is permanent.
                Ok(Some(Err(_)) | None) | Err(_) => self.disconnect().await,
            }
        }
    }

    /// Whether reconnecting would not help.
    fn is_permanent(&self, failed: &Failed) -> bool {
        let may_recover = matches!(failed, Failed::Problem(_)) && self.received > 0;
        !self.has_begun || !(may_recover || failed.may_retry())
    }

    fn advance(&mut self, notice: Notice) -> Notice {
        self.watch.after = Some(notice.position);
        self.has_begun = true;
        self.received += 1;
        // The first notice only says that the stream is open, which is no progress yet.
        if self.received > 1 {
            self.pauses = new_pauses();
        }
        notice
    }

    async fn disconnect(&mut self) {
        self.notices = None;
        self.received = 0;
        pause(&mut self.pauses).await;
    }
}

/// Opens a connection. Before the stream has begun this is an ordinary call; afterwards it is retried until it
/// succeeds.
async fn open(client: &Client, watch: &WatchUsers, has_begun: bool, pauses: &mut Pauses) -> Result<Notices, Error> {
    loop {
        match client.open_watch(watch).await {
            Err(error) if has_begun && error.is_transient() => pause(pauses).await,
            result => return result,
        }
    }
}

fn new_pauses() -> Pauses {
    pauses(FIRST_PAUSE, LONGEST_PAUSE)
}

async fn pause(pauses: &mut Pauses) {
    sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
}
