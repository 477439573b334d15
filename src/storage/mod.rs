//! Users in a database: the connection, the statements, and the actors that run them in batches.
//!
//! [`Storage`] is the handle that the use cases call. Each method puts one message into a lane's mailbox; a
//! database actor takes whatever is waiting there, runs it as one batch in one transaction, and answers each
//! caller ([`engine`]). A connection whose call does not return is abandoned, and whoever waits in it replaced ([`database`]). Nothing here knows HTTP.

mod database;
mod engine;
mod event_log;
mod read;
mod seed;
mod write;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use database::backup::{BackupError, backup};
pub use database::database_url::DatabaseUrl;
pub use database::migrations::{MigrateError, migrate};
pub use database::readiness::{Check, Readiness};
pub use database::settings::Settings;
pub use event_log::follow::Follower;
pub use event_log::mark::Mark;
pub use event_log::{Backlog, EventLog, Fate, Held, Leading, Pruned, Retention, RetryError, retry_parked};
pub use seed::{SeedError, seed};

use crate::domain::{Changes, EmailKey, Error, NewUser, Page, PageQuery, User, UserId, Version};
use crate::metrics::Metrics;
use crate::telemetry::{Context, TracePlace};
use database::keeper::{self, Keeper};
use database::pool::Pool;
use database::workers::Workers;
use engine::actors::{Actors, Common};
use engine::lane::Lane;
use read::get_users::Lookup;
use write::{Create, Delete, Update, Write};

/// The users in the database. Cloning gives another handle to the same actors.
///
/// Every method fails with [`Error::Overloaded`] when the lane's mailbox is full, when the wait in it is expected to be too
/// long, or when the deadline passes in it; with [`Error::Unavailable`] when the database cannot be reached, is not migrated
/// or takes no changes; and with [`Error::Unusable`] when its tables or its file are gone. All of them mean that nothing was
/// executed. A write whose outcome was lost is [`Error::OutcomeUnknown`].
#[derive(Clone)]
pub struct Storage {
    lookups: Lane<Lookup>,
    pages: Lane<PageQuery>,
    writes: Lane<Write>,
    events: EventLog,
    keeper: Arc<Keeper>,
    pool: Pool,
}

#[expect(clippy::missing_errors_doc, reason = "what all methods share is said once, above; each says the rest")]
impl Storage {
    /// Starts the actors, and the keeper that connects and migrates. Returns at once: the database may come later.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(settings: &Settings, metrics: &Metrics) -> std::io::Result<(Self, Running)> {
        let pool = Pool::new(settings, metrics)?;
        let keeper = Arc::new(Keeper::default());
        let common = Common { settings, pool: &pool, keeper: &keeper, metrics };
        let mut actors = Actors::default();
        let storage = Self {
            lookups: actors.open_lane("lookups", settings.lookup_actors, &common)?,
            pages: actors.open_lane("pages", settings.page_actors, &common)?,
            // One writer: messages for one user keep their order, SQLite has one write lock, and on PostgreSQL one full
            // batch costs less than two half-full ones.
            writes: actors.open_lane("writes", 1, &common)?,
            events: EventLog::new(pool.clone(), Arc::clone(&keeper), settings.deadline, metrics.hung_calls("events")),
            keeper: Arc::clone(&keeper),
            pool: pool.clone(),
        };
        let watched = storage.clone();
        metrics.watch_database(move || watched.readiness() == Readiness::Ready);
        for check in Check::ALL {
            let watched = storage.clone();
            metrics.watch_check(check.word(), move || watched.readiness() == Readiness::Failing(check));
        }
        let keeper = keeper::spawn(keeper, pool, settings.auto_migrate, metrics.hung_calls("keeper"))?;
        Ok((storage, Running { actors, keeper }))
    }

    /// Creates a user; [`Error::EmailTaken`] when another one has the address.
    pub async fn create_user(&self, new: NewUser) -> Result<User, Error> {
        self.writes.ask(Write::Create(Create::new(new, trace()))).await
    }

    /// Gets the user with this id.
    pub async fn get_user(&self, id: UserId) -> Result<Option<User>, Error> {
        self.lookups.ask(Lookup::Id(id)).await
    }

    /// Gets the user with this address.
    pub async fn get_user_by_email(&self, email: EmailKey) -> Result<Option<User>, Error> {
        self.lookups.ask(Lookup::Email(email)).await
    }

    /// Reads one page of users.
    pub async fn list_users(&self, query: PageQuery) -> Result<Page, Error> {
        let query = if self.keeper.all_have_keys() { query.without_older_prefixes() } else { query };
        self.pages.ask(query).await
    }

    /// Updates a user, if its version is the expected one; [`Error::NotFound`], [`Error::VersionMismatch`] or
    /// [`Error::EmailTaken`] otherwise.
    pub async fn update_user(&self, id: UserId, expected: Option<Version>, changes: Changes) -> Result<User, Error> {
        self.writes.ask(Write::Update(Update::new(id, expected, changes, trace()))).await
    }

    /// Deletes a user, if its version is the expected one, and returns its last state; [`Error::NotFound`] or
    /// [`Error::VersionMismatch`] otherwise.
    pub async fn delete_user(&self, id: UserId, expected: Option<Version>) -> Result<User, Error> {
        self.writes.ask(Write::Delete(Delete { id, expected, trace: trace() })).await
    }

    /// Has no connection used again that is open now.
    pub fn distrust_connections(&self) {
        self.pool.suspect_all();
    }

    /// What became of users, in the order in which others are told.
    #[must_use]
    pub const fn events(&self) -> &EventLog {
        &self.events
    }

    /// Whether requests can be served, as the keeper saw it last. Never waits for the database.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        let is_stuck =
            [&self.lookups.workers, &self.pages.workers, &self.writes.workers].into_iter().any(Workers::are_gone);
        if is_stuck { Readiness::Failing(Check::Database) } else { self.keeper.readiness() }
    }

    /// Waits until no call to the database is under way, for `limit` at the most; false when one is still, or hangs and was
    /// abandoned. Blocks.
    #[must_use]
    pub fn rests(&self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        while self.pool.in_use() > 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.pool.in_use() == 0 && self.pool.hung() == 0
    }
}

/// Where in a trace the request that the caller runs for is served.
fn trace() -> Option<TracePlace> {
    Context::current()?.trace
}

/// The threads behind a [`Storage`].
pub struct Running {
    actors: Actors,
    keeper: keeper::Handle,
}

impl Running {
    /// Lets the actors finish what is in their mailboxes, and ends them; gives up after `patience`. Blocks.
    ///
    /// Returns whether all of them ended.
    #[must_use]
    pub fn stop(self, patience: Duration) -> bool {
        let stopped = self.actors.stop(patience);
        // What comes after them needs to know that the database is there.
        self.keeper.stop();
        stopped
    }
}
