//! The use case of exporting users.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::list_users::{find_the_one, page_filter, start};
use crate::domain::{Error, Filter, Freshness, PageFilter, PageQuery, PageSize, Position, Start, User};
use crate::storage::{Checkpoint, Follower, Storage};
use crate::telemetry::use_case;

/// How long a page is tried again when the database does not answer. Then an export of many pages is given up.
const RETRY_FOR: Duration = Duration::from_secs(10);
/// The pause before a page is tried again.
const PAUSE: Duration = Duration::from_millis(200);

/// What is left of an export: the users behind a page.
pub struct Rest {
    storage: Storage,
    start: Start,
    filter: PageFilter,
    /// The offset that the log was known to be final up to, before the first page.
    from: Checkpoint,
    /// The highest offset that a page has shown.
    shown: Position,
}

/// A page of an export, and what is left after it.
pub type ExportPage = (Vec<User>, Option<Rest>);

/// Exports the users that match a filter, page by page: by id, or with a prefix of names by name and id. Each page is a
/// short transaction, so it may be read as late as its reader likes.
///
/// `from` is where the log was final before. Whoever follows the log from there, and keeps of each user what has the
/// highest version, has a copy of all users once the last page has come.
///
/// # Errors
/// Those of [`Rest::next_page`], of which none is tried again.
pub async fn export_users(storage: &Storage, filter: Filter, from: Checkpoint) -> Result<ExportPage, Error> {
    use_case("export_users", first_page(storage.clone(), filter, from)).await
}

async fn first_page(storage: Storage, filter: Filter, from: Checkpoint) -> Result<ExportPage, Error> {
    if let Some(found) = find_the_one(&storage, &filter, &Freshness::LATEST).await? {
        return Ok((found.value.into_iter().collect(), None));
    }
    let (start, filter) = (start(&filter, None), page_filter(&filter));
    Rest { storage, start, filter, from, shown: from.position() }.read().await
}

impl Rest {
    /// Reads the next page. Tries for some seconds if the database does not answer.
    ///
    /// # Errors
    /// [`Error::EventsGone`] if the database was replaced by another one since the export began, so that its pages do not
    /// belong together; or the storage's errors.
    pub async fn next_page(self) -> Result<ExportPage, Error> {
        let give_up_at = Instant::now() + RETRY_FOR;
        loop {
            match self.read().await {
                Err(Error::Overloaded | Error::Unavailable) if Instant::now() < give_up_at => {
                    sleep(PAUSE.mul_f64(0.5 + fastrand::f64())).await;
                }
                page => return page,
            }
        }
    }

    async fn read(&self) -> Result<ExportPage, Error> {
        let query =
            PageQuery { start: self.start.clone(), filter: self.filter.clone(), size: PageSize::EXPORT, count: false };
        let page = self.storage.list_users(query).await?;
        let shown = page.position;
        // The end of a log never goes back.
        if shown < self.shown {
            return Err(Error::EventsGone);
        }
        let page = page.value;
        let Some(last) = page.next else {
            self.check_log().await?;
            return Ok((page.users, None));
        };
        let (storage, start) = (self.storage.clone(), self.start.after(last));
        let filter = self.filter.clone();
        Ok((page.users, Some(Self { storage, start, filter, from: self.from, shown })))
    }

    /// Checks that the log is still the one from before the first page.
    async fn check_log(&self) -> Result<(), Error> {
        self.storage.events().follow(Follower::after(self.from), 0).await.map(drop)
    }
}
