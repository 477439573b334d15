//! The keeper: a thread that connects, migrates, and from then on looks after the database once a second.
//!
//! It lets the service start before its database, and keeps `/ready` from waiting for one: readiness is what the keeper
//! saw last, and how long ago.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use super::migrations;
use super::pool::{Pool, Pooled};
use super::watchdog::OnHang;
use super::workers::{Worker, Workers};
use crate::metrics::HungCalls;

/// How often a database that answers is looked after.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often one that does not answer is tried again.
const RETRY: Duration = Duration::from_millis(200);
/// With no news for so long, the database does not answer.
const STALE: Duration = Duration::from_secs(3);
/// How long migrating may take: a statement of it may take ten minutes, and so may the wait for another replica.
const MIGRATION: Duration = Duration::from_mins(30);

/// Whether requests can be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    Ready,
    Failing(Check),
}

/// What stands between the service and its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The database cannot be reached, or does not answer.
    Database,
    /// The schema is older than this release: `DB_AUTO_MIGRATE` is off, or migrating fails.
    Migrations,
}

/// What the keeper saw.
pub(super) struct Keeper {
    migrated: AtomicBool,
    seen: Mutex<(Readiness, Instant)>,
    /// What was logged last.
    told: Mutex<Option<Result<(), String>>>,
}

impl Default for Keeper {
    fn default() -> Self {
        Self {
            migrated: AtomicBool::new(false),
            seen: Mutex::new((Readiness::Failing(Check::Database), Instant::now())),
            told: Mutex::default(),
        }
    }
}

impl Keeper {
    /// Whether the schema was found up to date once; without it no statement can succeed.
    pub(super) fn is_migrated(&self) -> bool {
        self.migrated.load(Ordering::Relaxed)
    }

    pub(super) fn readiness(&self) -> Readiness {
        let (readiness, at) = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if at.elapsed() < STALE { readiness } else { Readiness::Failing(Check::Database) }
    }

    fn see(&self, readiness: Readiness) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = (readiness, Instant::now());
    }
}

/// Ends the keeper when it is dropped or stopped. It is not waited for: it may be waiting for the database itself.
pub(super) struct Handle {
    stop: Sender<()>,
}

impl Handle {
    pub(super) fn stop(self) {
        drop(self.stop);
    }
}

pub(super) fn spawn(
    keeper: Arc<Keeper>,
    pool: Pool,
    auto_migrate: bool,
    hung_calls: HungCalls,
) -> std::io::Result<Handle> {
    let (stop, stopped) = bounded(0);
    let work = move |worker: &Worker| {
        loop {
            let result = look(&keeper, &pool, auto_migrate, worker.on_hang());
            // Another keeper knows better by now.
            if worker.is_abandoned() {
                return;
            }
            let pause = if result.is_ok() { INTERVAL } else { RETRY };
            keeper.see(result.as_ref().map_or_else(Trouble::check, |()| Readiness::Ready));
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
    #[error("{0}")]
    Migrate(#[from] migrations::MigrateError),
    #[error("migrations are pending and DB_AUTO_MIGRATE is false: run `user-service migrate`")]
    Pending,
    #[error("no sign of life: {0}")]
    Ping(diesel::result::Error),
}

impl Trouble {
    const fn check(&self) -> Readiness {
        Readiness::Failing(match self {
            Self::Pending | Self::Migrate(_) => Check::Migrations,
            Self::Connect(_) | Self::Ping(_) => Check::Database,
        })
    }
}

fn look(keeper: &Keeper, pool: &Pool, auto_migrate: bool, on_hang: &OnHang) -> Result<(), Trouble> {
    let mut pooled = pool.check_out(on_hang)?;
    let result = if keeper.is_migrated() {
        pooled.connection.ping().map_err(Trouble::Ping)
    } else {
        migrate(&mut pooled, auto_migrate)
    };
    match result {
        Ok(()) => keeper.migrated.store(true, Ordering::Relaxed),
        Err(_) => pool.check(pooled),
    }
    result
}

fn migrate(pooled: &mut Pooled, auto_migrate: bool) -> Result<(), Trouble> {
    if !migrations::pending(&mut pooled.connection)? {
        return Ok(());
    }
    if !auto_migrate {
        return Err(Trouble::Pending);
    }
    pooled.may_take(MIGRATION);
    migrations::run(&mut pooled.connection)?;
    Ok(())
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
