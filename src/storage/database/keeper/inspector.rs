//! One check of the database: connect, inspect, migrate, compute missing keys, and look at the indexes of attributes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::QueryResult;

use super::Duties;
use super::count_watch::CountWatch;
use super::inspection::{self, Inspection};
use super::log_watch::LogWatch;
use super::missing_keys::{self, FillResult};
use super::problem::Problem;
use super::readiness::Check;
use super::state::Keeper;
use crate::storage::database::attribute_indexes::AttributeIndexes;
use crate::storage::database::connection::Connection;
use crate::storage::database::pool::{Pool, Pooled};
use crate::storage::database::schema::migrations;
use crate::storage::database::user_count::Wanted;
use crate::storage::database::workers::abandoned_calls::OnHang;

/// How long each check may compute missing keys.
const FILL_TIME: Duration = Duration::from_millis(200);
/// How long one call that computes keys or watches the log may take before it counts as hung.
const FILL_LIMIT: Duration = Duration::from_secs(5);
/// How long migrating may take. One statement may take ten minutes, and so may the wait for another replica.
const MIGRATION_LIMIT: Duration = Duration::from_mins(30);

/// Checks the database, and remembers what it found before.
pub(super) struct Inspector {
    keeper: Arc<Keeper>,
    pool: Pool,
    auto_migrate: bool,
    on_hang: OnHang,
    /// The description of the tables when they were last found as requests need them.
    schema: Option<String>,
    /// The check that has made the database unfit, until it is fit again.
    unfit: Option<Check>,
    /// The error of the last computation of keys.
    fill_error: Option<String>,
    log_watch: LogWatch,
    /// The error of the last watch of the log.
    log_error: Option<String>,
    indexes: AttributeIndexes,
    builds_indexes: bool,
    counts: Wanted,
    count_watch: CountWatch,
    /// The error of the last watch of the number of users.
    count_error: Option<String>,
    /// The error of the last look at the indexes.
    index_error: Option<String>,
}

impl Inspector {
    pub(super) fn new(duties: &Duties, pool: Pool, on_hang: OnHang) -> Self {
        let Duties { keeper, indexes, counts, auto_migrate, builds_indexes } = duties.clone();
        let log_watch = LogWatch::default();
        Self {
            keeper,
            pool,
            auto_migrate,
            on_hang,
            indexes,
            builds_indexes,
            counts,
            count_watch: CountWatch::default(),
            count_error: None,
            index_error: None,
            schema: None,
            unfit: None,
            fill_error: None,
            log_watch,
            log_error: None,
        }
    }

    /// Checks the database once, and replaces the pool's connections if it became fit or unfit.
    pub(super) fn check(&mut self) -> Result<(), Problem> {
        let result = self.check_files_and_database();
        match &result {
            // The other connections may still lead to the unfit server.
            Ok(()) if self.unfit.take().is_some() => self.pool.reopen_all(),
            // New connections may lead to a server that is fit.
            Err(problem) if problem.is_unfit() && self.unfit.replace(problem.check()) != Some(problem.check()) => {
                self.pool.end_generation();
            }
            Ok(()) => self.pool.tie_cache(),
            Err(_) => {}
        }
        result
    }

    fn check_files_and_database(&mut self) -> Result<(), Problem> {
        self.pool.check_files()?;
        let mut pooled = self.pool.check_out(&self.on_hang)?;
        let result = self.inspect(&mut pooled);
        match &result {
            Ok(()) => self.maintain(pooled),
            Err(problem) if problem.is_unfit() => {
                // Reads go on.
                if matches!(problem.check(), Check::ReadOnly | Check::Encoding) {
                    let _ = self.check_indexes(&mut pooled, false);
                }
                pooled.discard();
            }
            // SQLite opens a file for reading if it cannot open it for writing at that moment.
            Err(Problem::Migrate(_)) => self.pool.check_in_unmigrated(pooled),
            Err(_) => self.pool.check_in(pooled),
        }
        result
    }

    /// What is done beside the requests. One task that fails keeps no other from its turn.
    fn maintain(&mut self, mut pooled: Pooled) {
        self.watch_log(&mut pooled);
        let tasks = [Self::fill_keys, Self::make_indexes, Self::watch_count];
        let mut failed = None;
        for task in tasks {
            if let Err(error) = task(self, &mut pooled) {
                // Only a connection without an open transaction can be used for the next.
                if !pooled.connection.recover() {
                    return self.pool.check_in_failed(pooled, &error);
                }
                failed = failed.or(Some(error));
            }
        }
        if let Some(error) = failed {
            self.pool.check_in_failed(pooled, &error);
        }
    }

    fn inspect(&mut self, pooled: &mut Pooled) -> Result<(), Problem> {
        pooled.check_files()?;
        // Another server may be behind the same address by now. Only a new connection reaches it.
        if self.unfit.is_some() {
            self.pool.reopen(pooled).map_err(Problem::Reconnect)?;
        }
        let mut inspection = inspection::inspect(&mut pooled.connection).map_err(Problem::NoResponse)?;
        if self.schema.as_ref() != Some(&inspection.schema) {
            inspection = self.inspect_schema(pooled, inspection)?;
        }
        if !inspection.stores_every_text() {
            return Err(Problem::Encoding(inspection.encoding));
        }
        if inspection.is_read_only || !self.pool.files_are_writable() {
            return Err(Problem::ReadOnly);
        }
        Ok(())
    }

    /// Inspects tables that are not known yet, or have changed. Statements prepared before a change may fail.
    fn inspect_schema(&mut self, pooled: &mut Pooled, mut inspection: Inspection) -> Result<Inspection, Problem> {
        if self.schema.take().is_some() {
            self.pool.end_generation();
            self.pool.reopen(pooled).map_err(Problem::Reconnect)?;
        }
        if self.keeper.is_migrated() {
            if migrations::pending(&mut pooled.connection)? {
                return Err(Problem::SchemaGone);
            }
        } else {
            self.migrate(pooled, &inspection)?;
            inspection = inspection::inspect(&mut pooled.connection).map_err(Problem::NoResponse)?;
        }
        inspection::require_tables(&mut pooled.connection).map_err(Problem::SchemaBroken)?;
        self.keeper.set_migrated();
        self.schema = Some(inspection.schema.clone());
        Ok(inspection)
    }

    fn migrate(&self, pooled: &mut Pooled, inspection: &Inspection) -> Result<(), Problem> {
        if !migrations::pending(&mut pooled.connection)? {
            return Ok(());
        }
        if inspection.is_read_only || !self.pool.files_are_writable() {
            return Err(Problem::ReadOnly);
        }
        if !self.auto_migrate {
            return Err(Problem::Pending);
        }
        pooled.set_call_limit(MIGRATION_LIMIT);
        migrations::run(&mut pooled.connection)?;
        Ok(())
    }

    /// Lets the user cache start, or drop gaps of the log. An error only delays that, and is logged once.
    fn watch_log(&mut self, pooled: &mut Pooled) {
        pooled.set_call_limit(FILL_LIMIT);
        let Connection::Postgres(postgres, Some(cache)) = &mut pooled.connection else { return };
        let message = self.log_watch.check(postgres, cache).err().map(|error| error.to_string());
        if let Some(news) = message.as_ref().filter(|message| self.log_error.as_ref() != Some(message)) {
            log::warn!("the user cache cannot follow the log of events: {news}");
        }
        self.log_error = message;
    }

    /// Computes missing keys for a while. An error does not make the database unready.
    fn fill_keys(&mut self, pooled: &mut Pooled) -> QueryResult<()> {
        let until = Instant::now() + FILL_TIME;
        let result = loop {
            pooled.set_call_limit(FILL_LIMIT);
            match missing_keys::fill(&mut pooled.connection) {
                Ok(FillResult::Progress) if Instant::now() < until => {}
                Ok(result) => break missing_keys::free_duplicates(&mut pooled.connection).map(|()| result),
                Err(error) => break Err(error),
            }
        };
        self.keeper.set_all_have_keys(matches!(result, Ok(FillResult::Complete)));
        let message = result.as_ref().err().map(ToString::to_string);
        if let Some(news) = message.as_ref().filter(|message| self.fill_error.as_ref() != Some(message)) {
            log::warn!("the keys of some users are still to be computed: {news}");
        }
        self.fill_error = message;
        result.map(drop)
    }

    /// Keeps the number of users up to date on PostgreSQL. Without it lists count one by one.
    fn watch_count(&mut self, pooled: &mut Pooled) -> QueryResult<()> {
        pooled.set_call_limit(FILL_LIMIT);
        let Connection::Postgres(postgres, _) = &mut pooled.connection else { return Ok(()) };
        if !self.counts.is_set() {
            return Ok(());
        }
        let result = self.count_watch.check(postgres);
        let message = result.as_ref().err().map(ToString::to_string);
        if let Some(news) = message.as_ref().filter(|message| self.count_error.as_ref() != Some(message)) {
            log::warn!("lists that count users do so one by one: {news}");
        }
        self.count_error = message;
        result
    }

    fn make_indexes(&mut self, pooled: &mut Pooled) -> QueryResult<()> {
        self.check_indexes(pooled, self.builds_indexes)
    }

    /// Looks how far the indexes of attributes are, and on SQLite may make them for a while.
    fn check_indexes(&mut self, pooled: &mut Pooled, fill: bool) -> QueryResult<()> {
        pooled.set_call_limit(FILL_LIMIT);
        let fill_until = fill.then(|| Instant::now() + FILL_TIME);
        let result = self.indexes.check(&mut pooled.connection, fill_until);
        let message = result.as_ref().err().map(ToString::to_string);
        if let Some(news) = message.as_ref().filter(|message| self.index_error.as_ref() != Some(message)) {
            log::warn!("the indexes of attributes are unknown: {news}");
        }
        self.index_error = message;
        result
    }
}
