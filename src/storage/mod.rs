//! Users in a database: the connections, the statements, and the actors that run them in batches.
//!
//! [`Storage`] is the handle that the use cases call. Each of its methods sends a message into a lane; a database actor
//! runs the waiting messages as one batch, in one transaction, and answers each caller.
//!
//! - [`database`] is either database: its connections, their pool, the schema, and the keeper that watches it.
//! - [`engine`] is the batching, without SQL.
//! - [`read`] and [`mod@write`] are the requests that travel through the lanes, with their statements.
//! - [`event_log`] records changes as events, and is read by the live stream and the relay.
//!
//! Nothing here knows HTTP.

mod batch_slots;
mod batches;
mod database;
mod engine;
mod event_log;
mod export;
mod imports;
mod key_retention;
mod read;
mod seed;
mod user_cache;
mod write;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use batch_slots::BatchSlot;
pub use database::attribute_indexes::IndexProgress;
pub use database::attribute_indexes::commands::{IndexError, drop_attribute_index, index_attributes};
pub use database::backup::{BackupError, backup};
pub use database::keeper::readiness::{Check, Readiness};
pub use database::schema::migrations::{MigrateError, migrate};
pub use database::settings::Settings;
pub use database::settings::attributes_schema_file::{AttributesSchemaFile, SchemaFileError};
pub use database::settings::database_url::DatabaseUrl;
pub use database::settings::indexed_attributes::IndexedAttributes;
pub use event_log::checkpoint::Checkpoint;
pub use event_log::follow::Follower;
pub use event_log::{
    Backlog, DeliveryOutcome, EventLog, HeldEvent, Leadership, Pruned, Retention, RetryError, retry_parked,
};
pub use export::{ExportError, export};
pub use imports::{Closed, ImportRecord, NextRecords, OpenImport, PreparedChunk, StoredImport};
pub use key_retention::{KeyRetention, PrunedKeys};
pub use seed::{SeedError, seed};
pub use write::atomic::RefusedOperation;
pub use write::import::Superseded;

use crate::domain::{
    AsOf, AttributeName, AttributesSchema, Changes, EmailKey, Error, ExternalId, Freshness, NewUser, Once, Page,
    PageFilter, PageQuery, User, UserId, Version, Written,
};
use crate::metrics::{IdempotencyMetrics, Metrics};
use crate::telemetry::{Context, TracedSpan, note_look_up};
use batch_slots::BatchSlots;
use database::attribute_indexes::{AttributeIndexes, builder};
use database::keeper::state::Keeper;
use database::keeper::{self, Duties};
use database::pool::Pool;
use database::user_count::Wanted;
use database::workers::Workers;
use engine::actors::{Actors, Common};
use engine::lane::Lane;
use engine::windows::Windows;
use read::lookup::{LookedUp, Lookup};
use user_cache::{Cached, Counted, LookupKey, PostgresCache, Recent, Refresh, SqliteCache, UserCache};
use write::atomic::AtomicBatch;
use write::import::ImportChunk;
use write::request::{Create, Delete, Update, Write};

/// The users in the database. Cloning gives another handle to the same actors.
///
/// All methods share these errors. [`Error::Overloaded`]: the lane's mailbox is full, the expected wait is too long, or
/// the deadline passed while the message waited. [`Error::Unavailable`]: the database cannot be reached, is not
/// migrated or accepts no changes. [`Error::Unusable`]: its tables or its file are gone. With each of these nothing was
/// executed. [`Error::OutcomeUnknown`]: a write may have been executed.
#[derive(Clone)]
pub struct Storage {
    lookups: Lane<Lookup>,
    pages: Lane<PageQuery>,
    writes: Lane<Write>,
    atomic: Lane<AtomicBatch>,
    imports: Lane<ImportChunk>,
    lookup_windows: Arc<Windows>,
    write_windows: Arc<Windows>,
    batch_slots: Arc<BatchSlots>,
    events: EventLog,
    /// For what is neither a message nor about events, so that live streams do not wait for it.
    calls: EventLog,
    keeper: Arc<Keeper>,
    pool: Pool,
    idempotency: IdempotencyMetrics,
    attributes_schema: Option<AttributesSchemaFile>,
    attributes_indexed: Arc<IndexedAttributes>,
    indexes: AttributeIndexes,
    counts: Wanted,
    /// On PostgreSQL the actors have it, too: they ask what has changed.
    cache: Option<UserCache>,
}

#[expect(clippy::missing_errors_doc, reason = "the type documents the errors that all methods share")]
impl Storage {
    /// Starts the actors, and the keeper that connects and migrates. Returns at once: the database may become reachable
    /// later.
    ///
    /// # Errors
    /// When the system provides no thread.
    pub fn start(settings: &Settings, metrics: &Metrics) -> std::io::Result<(Self, Running)> {
        let cache = user_cache(settings, metrics);
        let pool = Pool::new(settings, metrics, cache.clone())?;
        let keeper = Arc::new(Keeper::default());
        let indexes = AttributeIndexes::new(&settings.attributes_indexed);
        let counts = Wanted::default();
        let common = Common { settings, pool: &pool, keeper: &keeper, metrics };
        let mut actors = Actors::default();
        let events = EventLog::new(pool.clone(), Arc::clone(&keeper), settings.deadline, metrics.hung_calls("events"));
        let storage = Self {
            lookups: actors.open_lane("lookups", settings.lookup_actors, &common)?,
            pages: actors.open_lane("pages", settings.page_actors, &common)?,
            // One writer: so writes of one user keep their order. SQLite has one write lock, and on PostgreSQL one full
            // batch costs less than two half-full ones.
            writes: actors.open_lane("writes", 1, &common)?,
            atomic: actors.open_lane("atomic", 1, &common)?,
            imports: actors.open_lane("imports", 1, &common)?,
            lookup_windows: Arc::new(Windows::of_mailbox(settings.mailbox)),
            write_windows: Arc::new(Windows::of_mailbox(settings.mailbox)),
            batch_slots: BatchSlots::new(),
            calls: events.with_own_permit(),
            events,
            keeper: Arc::clone(&keeper),
            pool: pool.clone(),
            idempotency: metrics.idempotency().clone(),
            attributes_schema: settings.attributes_schema.clone(),
            attributes_indexed: Arc::new(settings.attributes_indexed.clone()),
            indexes: indexes.clone(),
            counts: counts.clone(),
            cache,
        };
        let watched = storage.clone();
        metrics.watch_database(move || watched.readiness() == Readiness::Ready);
        for check in Check::ALL {
            let watched = storage.clone();
            metrics.watch_check(check.word(), move || watched.readiness() == Readiness::Failing(check));
        }
        let watched = Arc::clone(&keeper);
        let builder = builder::spawn(settings, indexes.clone(), move || watched.is_migrated())?;
        let Settings { auto_migrate, builds_indexes, .. } = *settings;
        let duties = Duties { keeper, indexes, counts, auto_migrate, builds_indexes };
        let keeper = keeper::spawn(duties, pool, metrics.hung_calls("keeper"))?;
        Ok((storage, Running { actors, keeper, _builder: builder }))
    }

    /// What attributes are held to, if the operator says so.
    #[must_use]
    pub fn attributes_schema(&self) -> Option<Arc<AttributesSchema>> {
        self.attributes_schema.as_ref().map(AttributesSchemaFile::current)
    }

    /// The attributes by which lists can be filtered, or will be once their indexes are made.
    #[must_use]
    pub fn attributes_indexed(&self) -> &[AttributeName] {
        &self.attributes_indexed
    }

    /// Each of these attributes, and how far its index is. Never waits for the database.
    pub fn index_progress(&self) -> impl Iterator<Item = (&AttributeName, IndexProgress)> {
        self.indexes.progress()
    }

    /// Creates a user. [`Error::EmailTaken`] if another user has the address.
    ///
    /// Like all writes it takes what `once` names once: if it was executed before, the answer is the first one, and
    /// [`Error::KeyReused`] if the key belongs to another request.
    pub async fn create_user(&self, new: NewUser, once: Option<Once>) -> Result<Written<User>, Error> {
        with_user(self.write(Write::Create(Create::new(new, trace(), once))).await?)
    }

    /// Gets the user with this id.
    pub async fn get_user(&self, id: UserId, freshness: &Freshness) -> Result<AsOf<Option<User>>, Error> {
        self.look_up(Lookup::Id(id), freshness).await
    }

    /// Gets the user with this address.
    pub async fn get_user_by_email(&self, email: EmailKey, freshness: &Freshness) -> Result<AsOf<Option<User>>, Error> {
        self.look_up(Lookup::Email(email), freshness).await
    }

    /// Gets the user with this external id.
    pub async fn get_user_by_external_id(
        &self,
        external_id: ExternalId,
        freshness: &Freshness,
    ) -> Result<AsOf<Option<User>>, Error> {
        self.look_up(Lookup::ExternalId(external_id), freshness).await
    }

    async fn look_up(&self, lookup: Lookup, freshness: &Freshness) -> Result<AsOf<Option<User>>, Error> {
        let (Some(cache), Some(key)) = (&self.cache, lookup.key()) else {
            return Ok(self.lookups.ask(lookup).await?.found);
        };
        let (found, is_hit) = match cache {
            UserCache::Sqlite(cache) => self.look_up_on_sqlite(cache, key, lookup.clone()).await?,
            UserCache::Postgres(cache) => {
                if let Some(Recent { found, refresh }) = cache.recent(key, freshness) {
                    if let Some(refresh) = refresh {
                        self.refresh(lookup, refresh);
                    }
                    (found, true)
                } else {
                    let LookedUp { found, is_hit } = self.lookups.ask(lookup).await?;
                    (found, is_hit)
                }
            }
        };
        note_look_up(is_hit);
        Ok(found)
    }

    /// Answers where the caller is, if nobody has committed since.
    async fn look_up_on_sqlite(
        &self,
        cache: &SqliteCache,
        key: LookupKey<'_>,
        lookup: Lookup,
    ) -> Result<(AsOf<Option<User>>, bool), Error> {
        self.lookups.admit()?;
        let ticket = match cache.get(key) {
            Cached::Known(found) => return Ok((found, true)),
            Cached::Unknown(ticket) => ticket,
        };
        let found = self.lookups.ask(lookup).await?.found;
        if let Some(ticket) = ticket {
            cache.fill(ticket, key, &found);
        }
        Ok((found, false))
    }

    /// Asks what has changed, while the caller has its answer already. Any look-up does that.
    fn refresh(&self, lookup: Lookup, refresh: Refresh) {
        let lookups = self.lookups.clone();
        tokio::spawn(async move {
            // The next refresh tries again.
            let _ = lookups.ask(lookup).await;
            drop(refresh);
        });
    }

    /// Reads one page of users. [`Error::IndexNotReady`] if a filter needs an index that is still being made.
    pub async fn list_users(&self, query: PageQuery) -> Result<AsOf<Page>, Error> {
        self.indexes.require(&query.filter.attributes)?;
        let query = if self.keeper.all_have_keys() { query.without_legacy_prefixes() } else { query };
        if query.count && query.filter == PageFilter::default() {
            return self.list_and_count_all(query).await;
        }
        self.pages.ask(query).await
    }

    /// Reads one page of all users, with their number.
    async fn list_and_count_all(&self, mut query: PageQuery) -> Result<AsOf<Page>, Error> {
        self.counts.set();
        let Some(UserCache::Sqlite(cache)) = &self.cache else { return self.pages.ask(query).await };
        match cache.count() {
            Counted::Known(total) => {
                query.count = false;
                Ok(self.pages.ask(query).await?.map(|page| Page { total: Some(total), ..page }))
            }
            Counted::Unknown(ticket) => {
                let page = self.pages.ask(query).await?;
                if let (Some(ticket), Some(total)) = (ticket, page.value.total) {
                    cache.fill_count(ticket, total, page.position);
                }
                Ok(page)
            }
        }
    }

    /// Updates a user, if its version is the expected one. Otherwise [`Error::NotFound`], [`Error::VersionMismatch`] or
    /// [`Error::EmailTaken`].
    pub async fn update_user(
        &self,
        id: UserId,
        expected: Option<Version>,
        changes: Changes,
        once: Option<Once>,
    ) -> Result<Written<User>, Error> {
        with_user(self.write(Write::Update(Update::new(id, expected, changes, trace(), once))).await?)
    }

    /// Deletes a user, if its version is the expected one. Otherwise [`Error::NotFound`] or [`Error::VersionMismatch`].
    pub async fn delete_user(
        &self,
        id: UserId,
        expected: Option<Version>,
        once: Option<Once>,
    ) -> Result<Written<()>, Error> {
        Ok(self.write(Write::Delete(Delete { id, expected, trace: trace(), once })).await?.map(drop))
    }

    async fn write(&self, write: Write) -> Result<Written<Option<User>>, Error> {
        let written = self.writes.ask(write).await?;
        if written.is_replay {
            self.idempotency.replayed();
        }
        Ok(written)
    }

    /// Replaces all connections that are open now before they are used again.
    pub fn replace_connections(&self) {
        self.pool.end_generation();
    }

    /// The event log: all changes of users, in the order of their offsets.
    #[must_use]
    pub const fn events(&self) -> &EventLog {
        &self.events
    }

    /// Whether requests can be served, by the keeper's last check. Never waits for the database.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        let Self { lookups, pages, writes, atomic, imports, .. } = self;
        let workers = [&lookups.workers, &pages.workers, &writes.workers, &atomic.workers, &imports.workers];
        let is_stuck = workers.into_iter().any(Workers::all_gone);
        if is_stuck { Readiness::Failing(Check::Database) } else { self.keeper.readiness() }
    }

    /// Waits until no call to the database is running, for at most `limit`. Returns false if a call is still running,
    /// or hangs and was abandoned. Blocks.
    #[must_use]
    pub fn wait_until_idle(&self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        while self.pool.in_use() > 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.pool.in_use() == 0 && self.pool.abandoned() == 0
    }
}

/// The user cache, unless it is turned off.
fn user_cache(settings: &Settings, metrics: &Metrics) -> Option<UserCache> {
    let (bytes, metrics) = (settings.user_cache_bytes, metrics.user_cache());
    let cache = match settings.url {
        DatabaseUrl::Sqlite(_) => SqliteCache::new(bytes, metrics.clone()).map(UserCache::Sqlite),
        DatabaseUrl::Postgres(_) => {
            PostgresCache::new(bytes, settings.max_staleness, metrics.clone()).map(UserCache::Postgres)
        }
    };
    let [entries, bytes, gaps] = [(); 3].map(|()| cache.clone());
    metrics.watch(
        move || entries.as_ref().map_or(0, UserCache::count),
        move || bytes.as_ref().map_or(0, UserCache::bytes),
        move || gaps.as_ref().map_or(0, UserCache::gaps),
    );
    cache
}

/// The user that a write has left. If an operator has erased what was stored of it, nobody is there any more.
fn with_user(Written { answer, is_replay }: Written<Option<User>>) -> Result<Written<User>, Error> {
    let answer = answer.transpose().ok_or(Error::NotFound)?;
    Ok(Written { answer, is_replay })
}

/// The span of the current request, if it is traced.
fn trace() -> Option<TracedSpan> {
    Context::current()?.trace
}

/// The threads behind a [`Storage`].
pub struct Running {
    actors: Actors,
    keeper: keeper::Handle,
    _builder: Option<builder::Handle>,
}

impl Running {
    /// Lets the actors finish their mailboxes, and ends them; gives up after `timeout`. Blocks.
    ///
    /// Returns whether all of them ended.
    #[must_use]
    pub fn stop(self, timeout: Duration) -> bool {
        let stopped = self.actors.stop(timeout);
        // Last, because the relay, which stops after the actors, needs the keeper's readiness.
        self.keeper.stop();
        stopped
    }
}
