//! The handle that all calls of the event log go through. It runs work on threads that may block, a few at a time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use diesel::QueryResult;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::blocking_call::BlockingCall;
use super::follow::Follower;
use crate::domain::{Error, Event};
use crate::metrics::HungCalls;
use crate::storage::database::connection::Connection;
use crate::storage::database::keeper::readiness::{Check, Readiness};
use crate::storage::database::keeper::state::Keeper;
use crate::storage::database::pool::Pool;
use crate::storage::database::workers::abandoned_calls::{AbandonedCalls, MAX_PER_CALLER, OnHang};
use crate::telemetry::Throttle;

/// The event log. Cloning gives another handle to the same log.
///
/// Every method fails with [`Error::Overloaded`] when too many calls wait for a permit, and with [`Error::Unavailable`]
/// when the database fails. No method takes longer than the deadline.
#[derive(Clone)]
pub struct EventLog {
    pool: Pool,
    keeper: Arc<Keeper>,
    permits: Arc<Semaphore>,
    deadline: Duration,
    abandoned: Arc<AbandonedCalls>,
    failures: Throttle,
}

#[expect(clippy::missing_errors_doc, reason = "the type documents the errors that all methods share")]
impl EventLog {
    /// How many connections the event log may use at once, including that of one handle with its own permit.
    pub const CONNECTIONS: usize = Self::PERMITS + 1;
    const PERMITS: usize = 2;

    pub(crate) fn new(pool: Pool, keeper: Arc<Keeper>, deadline: Duration, hung_calls: HungCalls) -> Self {
        let permits = Arc::new(Semaphore::new(Self::PERMITS));
        let abandoned = Arc::new(AbandonedCalls::new(hung_calls, Self::CONNECTIONS * MAX_PER_CALLER));
        Self { pool, keeper, permits, deadline, abandoned, failures: Throttle::default() }
    }

    /// A handle with its own permit, so that it does not wait for the other handles.
    #[must_use]
    pub fn with_own_permit(&self) -> Self {
        Self { permits: Arc::new(Semaphore::new(1)), ..self.clone() }
    }

    /// The next events after those that a follower has seen, at most `limit`; and the follower that has seen them.
    /// [`Error::EventsGone`] if another log has taken the place of the one that the follower has read.
    pub async fn follow(&self, mut follower: Follower, limit: i64) -> Result<(Follower, Vec<Event>), Error> {
        let next = move |connection: &mut Connection| {
            let events = follower.next(connection, limit)?;
            Ok(events.map(|events| (follower, events)))
        };
        self.run(next).await?.ok_or(Error::EventsGone)
    }

    /// Runs work that changes nothing.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, Error> {
        self.run_unless(self.keeper.refusal(false), work).await
    }

    /// Runs work that changes data.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, Error> {
        self.run_unless(self.keeper.refusal(true), work).await
    }

    async fn run_unless<T: Send + 'static>(
        &self,
        refusal: Option<Error>,
        work: impl FnOnce(&mut Connection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, Error> {
        // The keeper has logged the reason.
        if let Some(error) = refusal {
            return Err(error);
        }
        if self.keeper.readiness() == Readiness::Failing(Check::Database) {
            return Err(Error::Unavailable);
        }
        let permit = timeout(self.deadline, Arc::clone(&self.permits).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else { return Err(Error::Overloaded) };
        if self.abandoned.limit_reached() {
            return Err(Error::Unavailable);
        }
        let (pool, failures) = (self.pool.clone(), self.failures.clone());
        let (call, answer) = BlockingCall::new(permit, Arc::clone(&self.abandoned));
        tokio::task::spawn_blocking(move || {
            call.answer(run(&pool, &call.on_hang(), work).map_err(|problem| log_problem(&failures, &problem)));
        });
        // A call that hangs is abandoned without an answer.
        answer.await.unwrap_or(Err(Error::Unavailable))
    }
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("no database connection: {0}")]
    NoConnection(#[from] r2d2::Error),
    #[error("{0}")]
    Refused(#[from] diesel::result::Error),
    #[error("panicked")]
    Panic,
}

/// Logs a problem, and returns the caller's error.
fn log_problem(failures: &Throttle, problem: &Problem) -> Error {
    if let Some(more) = failures.admit() {
        log::warn!("the log of events: {problem}{more}");
    }
    if matches!(problem, Problem::Panic) { Error::Internal } else { Error::Unavailable }
}

fn run<T>(pool: &Pool, on_hang: &OnHang, work: impl FnOnce(&mut Connection) -> QueryResult<T>) -> Result<T, Problem> {
    let mut pooled = pool.check_out(on_hang)?;
    match catch_unwind(AssertUnwindSafe(|| work(&mut pooled.connection))) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            pool.check_in_failed(pooled, &error);
            Err(error.into())
        }
        Err(_) => {
            pooled.discard();
            Err(Problem::Panic)
        }
    }
}
