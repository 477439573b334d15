//! What the keeper found last, for the lanes, the event log and `/ready`. Reading it never waits for the database.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::problem::Problem;
use super::readiness::{Check, Readiness};
use crate::domain::Error;
use crate::storage::database::pool::sqlite_files::Displaced;

/// Without a check for so long, the database counts as unreachable.
const STALE: Duration = Duration::from_secs(3);

/// The results of the keeper's checks.
pub(crate) struct Keeper {
    migrated: AtomicBool,
    /// Whether no change can succeed.
    read_only: AtomicBool,
    /// Whether no request can succeed.
    unusable: AtomicBool,
    /// Whether the last search found no user without keys.
    all_have_keys: AtomicBool,
    last_check: Mutex<(Readiness, Instant)>,
    last_logged: Mutex<Option<Result<(), String>>>,
}

impl Default for Keeper {
    fn default() -> Self {
        Self {
            migrated: AtomicBool::new(false),
            read_only: AtomicBool::new(false),
            unusable: AtomicBool::new(false),
            all_have_keys: AtomicBool::new(false),
            last_check: Mutex::new((Readiness::Failing(Check::Database), Instant::now())),
            last_logged: Mutex::default(),
        }
    }
}

impl Keeper {
    /// Why a request cannot succeed, if that is known. No statement succeeds before the schema was once found up to
    /// date. A read-only database may become writable at any time, as a standby does; the other conditions last until
    /// an operator repairs them.
    pub(crate) fn refusal(&self, changes: bool) -> Option<Error> {
        if self.unusable.load(Ordering::Relaxed) {
            return Some(Error::Unusable);
        }
        let is_closed = !self.is_migrated() || (changes && self.read_only.load(Ordering::Relaxed));
        is_closed.then_some(Error::Unavailable)
    }

    /// The result of the last check.
    pub(crate) fn readiness(&self) -> Readiness {
        let (readiness, at) = *self.last_check.lock().unwrap_or_else(PoisonError::into_inner);
        if at.elapsed() < STALE { readiness } else { Readiness::Failing(Check::Database) }
    }

    pub(crate) fn all_have_keys(&self) -> bool {
        self.all_have_keys.load(Ordering::Relaxed)
    }

    pub(super) fn set_all_have_keys(&self, all_have_keys: bool) {
        self.all_have_keys.store(all_have_keys, Ordering::Relaxed);
    }

    pub(crate) fn is_migrated(&self) -> bool {
        self.migrated.load(Ordering::Relaxed)
    }

    pub(super) fn set_migrated(&self) {
        self.migrated.store(true, Ordering::Relaxed);
    }

    /// Stores the result of a check.
    pub(super) fn record(&self, result: &Result<(), Problem>) {
        match result {
            Ok(()) | Err(Problem::Encoding(_)) => self.refuse(false, false),
            Err(Problem::ReadOnly) => self.refuse(true, false),
            Err(Problem::SchemaGone | Problem::SchemaBroken(_) | Problem::File(Displaced::Database(_))) => {
                self.refuse(false, true);
            }
            // The problem may be over in a moment, or reveals nothing new.
            Err(_) => {}
        }
        let readiness =
            result.as_ref().map_or_else(|problem| Readiness::Failing(problem.check()), |()| Readiness::Ready);
        *self.last_check.lock().unwrap_or_else(PoisonError::into_inner) = (readiness, Instant::now());
    }

    fn refuse(&self, changes: bool, everything: bool) {
        self.read_only.store(changes, Ordering::Relaxed);
        self.unusable.store(everything, Ordering::Relaxed);
    }

    /// Logs a result that differs from the one logged last: an hour without a database is one line.
    pub(super) fn log_change(&self, result: Result<(), Problem>) {
        let mut last_logged = self.last_logged.lock().unwrap_or_else(PoisonError::into_inner);
        let news = result.map_err(|problem| problem.to_string());
        match (&news, &*last_logged) {
            (Ok(()), Some(Ok(()))) => return,
            // The pool names a cause once, and then only repeats that it has no connection.
            (Err(problem), Some(Err(before))) if before.starts_with(problem) => return,
            (Ok(()), _) => log::info!("the database is ready"),
            (Err(problem), _) => log::error!("the database is not ready: {problem}"),
        }
        *last_logged = Some(news);
    }
}
