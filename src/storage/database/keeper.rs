//! The keeper: a thread that connects, migrates, and from then on looks after the database once a second.
//!
//! It lets the service start before its database, and keeps `/ready` from waiting for one: readiness is what the keeper
//! saw last, and how long ago. It asks for what requests need, not only for an answer: see [`check`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use super::check::{self, Found};
use super::keys::{self, Filled};
use super::migrations;
use super::pool::{Pool, Pooled};
use super::readiness::{Check, Readiness};
use super::sqlite_files::Displaced;
use super::watchdog::OnHang;
use super::workers::{Worker, Workers};
use crate::domain::Error;
use crate::metrics::HungCalls;

/// How often a database that answers is looked after.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often one that does not answer is tried again.
const RETRY: Duration = Duration::from_millis(200);
/// With no news for so long, the database does not answer.
const STALE: Duration = Duration::from_secs(3);
/// How long in each interval it computes keys, if some are missing.
const FILLING: Duration = Duration::from_millis(200);
/// With no news for so long, it counts as hung when it does that.
const HANGING: Duration = Duration::from_secs(5);
/// How long migrating may take: a statement of it may take ten minutes, and so may the wait for another replica.
const MIGRATION: Duration = Duration::from_mins(30);

/// What the keeper saw.
pub(crate) struct Keeper {
    migrated: AtomicBool,
    /// Whether no change can succeed, and whether no request can.
    read_only: AtomicBool,
    unusable: AtomicBool,
    /// Whether no user was found whose keys were to be computed.
    all_have_keys: AtomicBool,
    seen: Mutex<(Readiness, Instant)>,
    /// What was logged last.
    told: Mutex<Option<Result<(), String>>>,
}

impl Default for Keeper {
    fn default() -> Self {
        Self {
            migrated: AtomicBool::new(false),
            read_only: AtomicBool::new(false),
            unusable: AtomicBool::new(false),
            all_have_keys: AtomicBool::new(false),
            seen: Mutex::new((Readiness::Failing(Check::Database), Instant::now())),
            told: Mutex::default(),
        }
    }
}

impl Keeper {
    /// Why it is of no use to ask the database, if so. Without a schema that was found up to date once, no statement can
    /// succeed. A read-only database may become writable in any second, as a standby does; what else a request can fail for
    /// lasts until somebody mends it.
    pub(crate) fn refusal(&self, changes: bool) -> Option<Error> {
        if self.unusable.load(Ordering::Relaxed) {
            return Some(Error::Unusable);
        }
        let is_closed = !self.is_migrated() || (changes && self.read_only.load(Ordering::Relaxed));
        is_closed.then_some(Error::Unavailable)
    }

    pub(crate) fn readiness(&self) -> Readiness {
        let (readiness, at) = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if at.elapsed() < STALE { readiness } else { Readiness::Failing(Check::Database) }
    }

    pub(crate) fn all_have_keys(&self) -> bool {
        self.all_have_keys.load(Ordering::Relaxed)
    }

    fn is_migrated(&self) -> bool {
        self.migrated.load(Ordering::Relaxed)
    }

    fn see(&self, result: &Result<(), Trouble>) {
        match result {
            Ok(()) | Err(Trouble::Encoding(_)) => self.refuse(false, false),
            Err(Trouble::ReadOnly) => self.refuse(true, false),
            Err(Trouble::SchemaGone | Trouble::SchemaBroken(_) | Trouble::File(Displaced::Database(_))) => {
                self.refuse(false, true);
            }
            // It may be over in a moment, or nothing new is known.
            Err(_) => {}
        }
        let readiness =
            result.as_ref().map_or_else(|trouble| Readiness::Failing(trouble.check()), |()| Readiness::Ready);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = (readiness, Instant::now());
    }

    fn refuse(&self, changes: bool, everything: bool) {
        self.read_only.store(changes, Ordering::Relaxed);
        self.unusable.store(everything, Ordering::Relaxed);
    }
}

/// Ends the keeper when it is dropped or stopped. It is not waited for: it may be waiting for the database itself.
pub(crate) struct Handle {
    stop: Sender<()>,
}

impl Handle {
    pub(crate) fn stop(self) {
        drop(self.stop);
    }
}

pub(crate) fn spawn(
    keeper: Arc<Keeper>,
    pool: Pool,
    auto_migrate: bool,
    hung_calls: HungCalls,
) -> std::io::Result<Handle> {
    let (stop, stopped) = bounded(0);
    let work = move |worker: &Worker| {
        let mut watch = Watch {
            keeper: Arc::clone(&keeper),
            pool: pool.clone(),
            auto_migrate,
            on_hang: Arc::clone(worker.on_hang()),
            schema: None,
            unfit: None,
            filling: None,
        };
        loop {
            let result = watch.look();
            // Another keeper knows better by now.
            if worker.is_abandoned() {
                return;
            }
            let pause = result.as_ref().map_or_else(Trouble::pause, |()| INTERVAL);
            keeper.see(&result);
            tell(&mut keeper.told.lock().unwrap_or_else(PoisonError::into_inner), result);
            if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    };
    Workers::start(1, hung_calls, work)?;
    Ok(Handle { stop })
}

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("cannot connect: {0}")]
    Connect(#[from] r2d2::Error),
    #[error("cannot connect: {0}")]
    Reconnect(diesel::r2d2::Error),
    #[error("{0}")]
    Migrate(#[from] migrations::MigrateError),
    #[error("migrations are pending and DB_AUTO_MIGRATE is false: run `user-service migrate`")]
    Pending,
    #[error("no sign of life: {0}")]
    Silent(diesel::result::Error),
    #[error("it is read-only: a standby, or set to be so, or a file that may not be written")]
    ReadOnly,
    #[error("its encoding is {0}, which cannot store every name: it has to be UTF8")]
    Encoding(String),
    #[error("tables that were there are gone; they are not made anew, for it may be a mistake, or a restore under way")]
    SchemaGone,
    #[error("the schema is not as it has to be: {0}")]
    SchemaBroken(diesel::result::Error),
    #[error("{0}")]
    File(#[from] Displaced),
}

impl Trouble {
    const fn check(&self) -> Check {
        match self {
            Self::Pending | Self::Migrate(_) => Check::Migrations,
            Self::Connect(_) | Self::Reconnect(_) | Self::Silent(_) => Check::Database,
            Self::ReadOnly => Check::ReadOnly,
            Self::Encoding(_) => Check::Encoding,
            Self::SchemaGone | Self::SchemaBroken(_) => Check::Schema,
            Self::File(_) => Check::File,
        }
    }

    /// Whether the database answers, and is not what it should be.
    const fn is_unfit(&self) -> bool {
        !matches!(self.check(), Check::Database | Check::Migrations)
    }

    /// Each look at a database that is unfit needs a new connection.
    const fn pause(&self) -> Duration {
        match self.check() {
            Check::Database | Check::Migrations | Check::File => RETRY,
            Check::ReadOnly | Check::Encoding | Check::Schema => INTERVAL,
        }
    }
}

/// How the keeper looks at the database.
struct Watch {
    keeper: Arc<Keeper>,
    pool: Pool,
    auto_migrate: bool,
    on_hang: OnHang,
    /// What the tables were like when they were last found to be as requests need them.
    schema: Option<String>,
    /// For what the database was found unfit since it was fit last.
    unfit: Option<Check>,
    /// What went wrong when keys were computed last.
    filling: Option<String>,
}

impl Watch {
    fn look(&mut self) -> Result<(), Trouble> {
        let result = self.look_at_files_and_database();
        match &result {
            // The other connections may still be to what was unfit.
            Ok(()) if self.unfit.take().is_some() => self.pool.start_over(),
            // And when that begins, new ones may get to where it is not.
            Err(trouble) if trouble.is_unfit() && self.unfit.replace(trouble.check()) != Some(trouble.check()) => {
                self.pool.suspect_all();
            }
            _ => {}
        }
        result
    }

    fn look_at_files_and_database(&mut self) -> Result<(), Trouble> {
        self.pool.check_files()?;
        let mut pooled = self.pool.check_out(&self.on_hang)?;
        let result = self.examine(&mut pooled);
        match &result {
            Ok(()) => self.fill_keys(pooled),
            Err(trouble) if trouble.is_unfit() => pooled.discard(),
            Err(_) => self.pool.check(pooled),
        }
        result
    }

    /// Computes the keys that are missing, for some time. What goes wrong is no reason not to serve requests.
    fn fill_keys(&mut self, mut pooled: Pooled) {
        let until = Instant::now() + FILLING;
        let filled = loop {
            pooled.may_take(HANGING);
            match keys::fill(&mut pooled.connection) {
                Ok(Filled::Some) if Instant::now() < until => {}
                Ok(filled) => break keys::free_duplicates(&mut pooled.connection).map(|()| filled),
                Err(error) => break Err(error),
            }
        };
        self.keeper.all_have_keys.store(matches!(filled, Ok(Filled::All)), Ordering::Relaxed);
        let trouble = filled.as_ref().err().map(ToString::to_string);
        if let Err(error) = &filled {
            self.pool.take_back(pooled, error);
        }
        if let Some(news) = trouble.as_ref().filter(|trouble| self.filling.as_ref() != Some(trouble)) {
            log::warn!("the keys of some users are still to be computed: {news}");
        }
        self.filling = trouble;
    }

    fn examine(&mut self, pooled: &mut Pooled) -> Result<(), Trouble> {
        pooled.check_files()?;
        // Behind one address may be another server by now. An old connection does not get there.
        if self.unfit.is_some() {
            self.pool.reopen(pooled).map_err(Trouble::Reconnect)?;
        }
        let mut found = check::look(&mut pooled.connection).map_err(Trouble::Silent)?;
        if self.schema.as_ref() != Some(&found.schema) {
            found = self.examine_schema(pooled, found)?;
        }
        if !found.holds_every_text() {
            return Err(Trouble::Encoding(found.encoding));
        }
        if found.is_read_only || !self.pool.may_be_written() {
            return Err(Trouble::ReadOnly);
        }
        Ok(())
    }

    /// Looks at a schema that is not known yet, or has changed. What was prepared before may fail from now on.
    fn examine_schema(&mut self, pooled: &mut Pooled, mut found: Found) -> Result<Found, Trouble> {
        if self.schema.take().is_some() {
            self.pool.suspect_all();
            self.pool.reopen(pooled).map_err(Trouble::Reconnect)?;
        }
        if self.keeper.is_migrated() {
            if migrations::pending(&mut pooled.connection)? {
                return Err(Trouble::SchemaGone);
            }
        } else {
            self.migrate(pooled, &found)?;
            found = check::look(&mut pooled.connection).map_err(Trouble::Silent)?;
        }
        check::find_tables(&mut pooled.connection).map_err(Trouble::SchemaBroken)?;
        self.keeper.migrated.store(true, Ordering::Relaxed);
        self.schema = Some(found.schema.clone());
        Ok(found)
    }

    fn migrate(&self, pooled: &mut Pooled, found: &Found) -> Result<(), Trouble> {
        if !migrations::pending(&mut pooled.connection)? {
            return Ok(());
        }
        if found.is_read_only || !self.pool.may_be_written() {
            return Err(Trouble::ReadOnly);
        }
        if !self.auto_migrate {
            return Err(Trouble::Pending);
        }
        pooled.may_take(MIGRATION);
        migrations::run(&mut pooled.connection)?;
        Ok(())
    }
}

/// Logs what is news only: a database that is away for an hour is one line. `told` is what was said last.
fn tell(told: &mut Option<Result<(), String>>, result: Result<(), Trouble>) {
    let news = result.map_err(|trouble| trouble.to_string());
    match (&news, &told) {
        (Ok(()), Some(Ok(()))) => return,
        // The pool names a cause once, and after that only repeats that there is no connection.
        (Err(trouble), Some(Err(before))) if before.starts_with(trouble) => return,
        (Ok(()), _) => log::info!("the database is ready"),
        (Err(trouble), _) => log::error!("the database is not ready: {trouble}"),
    }
    *told = Some(news);
}
