//! A stream of changes that outlives its connections.

use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::time::{sleep, timeout};

use crate::client::{Client, Notices};
use crate::error::{Error, Failed, Kind};
use crate::event::{Notice, WatchUsers};
use crate::retry::{Pauses, pauses};

/// The service says something every 15 s. A connection that was silent for so long is lost, whoever lost it.
const SILENCE: Duration = Duration::from_secs(45);
/// When a replica goes, all of its streams come back: not all at once.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

pub(crate) fn watch(client: Client, watch: WatchUsers) -> BoxStream<'static, Result<Notice, Error>> {
    let watching = Watching { client, watch, notices: None, told: 0, pauses: new_pauses(), has_begun: false };
    let notices = stream::try_unfold(watching, async |mut watching| {
        let notice = watching.next().await?;
        Ok(Some((notice, watching)))
    });
    notices.boxed()
}

struct Watching {
    client: Client,
    /// After the last position that was told.
    watch: WatchUsers,
    /// The connection, when there is one.
    notices: Option<Notices>,
    /// How much this connection has told.
    told: u64,
    pauses: Pauses,
    has_begun: bool,
}

impl Watching {
    async fn next(&mut self) -> Result<Notice, Error> {
        loop {
            let notices = match &mut self.notices {
                Some(notices) => notices,
                lost => lost.insert(open(&self.client, &self.watch, self.has_begun, &mut self.pauses).await?),
            };
            match timeout(SILENCE, notices.next()).await {
                Ok(Some(Ok(notice))) => return Ok(self.took(notice)),
                Ok(Some(Err(failed))) if self.is_the_end(&failed) => return Err(self.client.unreadable(failed)),
                // Whatever it was: opening it anew shows whether it can be mended.
                Ok(Some(Err(_)) | None) | Err(_) => self.lost().await,
            }
        }
    }

    /// Whether it would not help to open it anew.
    fn is_the_end(&self, failed: &Failed) -> bool {
        let is_mended_by_that = matches!(failed, Failed::Problem(_)) && self.told > 0;
        !self.has_begun || !(is_mended_by_that || failed.may_be_repeated(Kind::Read))
    }

    fn took(&mut self, notice: Notice) -> Notice {
        self.watch.after = Some(notice.position);
        self.has_begun = true;
        self.told += 1;
        // The first one says only that the stream is open.
        if self.told > 1 {
            self.pauses = new_pauses();
        }
        notice
    }

    async fn lost(&mut self) {
        self.notices = None;
        self.told = 0;
        pause(&mut self.pauses).await;
    }
}

/// Opens it, as any call, and once it has begun as often as it takes.
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
