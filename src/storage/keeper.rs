//! The keeper: a thread that connects, migrates, and from then on looks after the database once a second.
//!
//! It lets the service start before its database, and keeps `/ready` from waiting for one: readiness is what the keeper
//! saw last, and how long ago.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use super::migrations;
use super::pool::Pool;

/// How often a database that answers is looked after.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often one that does not answer is tried again.
const RETRY: Duration = Duration::from_millis(200);
/// With no news for so long, the database does not answer.
const STALE: Duration = Duration::from_secs(3);

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
    /// The schema is older than this release, and `DB_AUTO_MIGRATE` is off.
    Migrations,
}

/// What the keeper saw.
pub(super) struct Keeper {
    migrated: AtomicBool,
    seen: Mutex<(Readiness, Instant)>,
}

impl Default for Keeper {
    fn default() -> Self {
        Self {
            migrated: AtomicBool::new(false),
            seen: Mutex::new((Readiness::Failing(Check::Database), Instant::now())),
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

    /// Notes what was seen; true when that is news.
    fn see(&self, readiness: Readiness) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *seen, (readiness, Instant::now())).0 != readiness
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

pub(super) fn spawn(keeper: Arc<Keeper>, pool: Pool, auto_migrate: bool) -> std::io::Result<Handle> {
    let (stop, stopped) = bounded(0);
    let work = move || {
        let mut first = true;
        loop {
            let result = look(&keeper, &pool, auto_migrate);
            report(
                &keeper,
                result.as_ref().err().map(ToString::to_string),
                first,
                result.as_ref().map_or_else(Trouble::check, |()| Readiness::Ready),
            );
            first = false;
            let pause = if result.is_ok() { INTERVAL } else { RETRY };
            if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    };
    std::thread::Builder::new().name("keeper".to_owned()).spawn(work)?;
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
            Self::Pending => Check::Migrations,
            Self::Connect(_) | Self::Migrate(_) | Self::Ping(_) => Check::Database,
        })
    }
}

fn look(keeper: &Keeper, pool: &Pool, auto_migrate: bool) -> Result<(), Trouble> {
    let mut pooled = pool.check_out()?;
    let connection = &mut pooled.connection;
    if keeper.is_migrated() {
        return connection.ping().map_err(|error| {
            pooled.discard();
            pool.suspect_all();
            Trouble::Ping(error)
        });
    }
    if auto_migrate {
        migrations::run(connection)?;
    } else if migrations::pending(connection)? {
        return Err(Trouble::Pending);
    }
    keeper.migrated.store(true, Ordering::Relaxed);
    Ok(())
}

/// Logs what is news only: a database that is away for an hour is one line.
fn report(keeper: &Keeper, trouble: Option<String>, first: bool, readiness: Readiness) {
    let news = keeper.see(readiness) || first;
    match trouble {
        Some(trouble) if news => log::error!("the database is not ready: {trouble}"),
        None if news => log::info!("the database is ready"),
        _ => {}
    }
}
