//! The log of events, for those who read it, relay it and prune it.
//!
//! None of this is a message for an actor: it is not asked by requests, or by few, and one question gains nothing from
//! another. So it runs on threads that may block, a few at once.

mod call;
mod held;
mod history;
mod lead;
mod prune;

pub(super) mod event_row;
pub(super) mod follow;
pub(super) mod mark;
pub(super) mod record;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use diesel::QueryResult;
use diesel::prelude::*;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use call::Call;
pub use held::{Fate, Held, RetryError, retry_parked};
pub use lead::{Backlog, Leading};
pub use prune::{Pruned, Retention};

use super::database::connection::{Connection, on_backend};
use super::database::hung::{Hung, MAX_HUNG};
use super::database::keeper::Keeper;
use super::database::pool::{Pool, Pooled};
use super::database::readiness::{Check, Readiness};
use super::database::schema::event_log;
use super::database::watchdog::OnHang;
use crate::domain::{Error, Event, Position};
use crate::metrics::HungCalls;
use crate::telemetry::Throttle;
use follow::Follower;

/// The log of events. Cloning gives another handle to the same log.
///
/// Every method fails with [`Error::Overloaded`] when too many want to use it at once, with [`Error::Unavailable`] when the
/// database does not do it, and never later than a deadline.
#[derive(Clone)]
pub struct EventLog {
    pool: Pool,
    keeper: Arc<Keeper>,
    turns: Arc<Semaphore>,
    deadline: Duration,
    hung: Arc<Hung>,
    failures: Throttle,
}

#[expect(clippy::missing_errors_doc, reason = "what all methods share is said once, above; each says the rest")]
impl EventLog {
    /// How many may use the database at once, each on a connection of its own; and whoever goes apart.
    pub const CONNECTIONS: usize = Self::TURNS + 1;
    const TURNS: usize = 2;

    pub(super) fn new(pool: Pool, keeper: Arc<Keeper>, deadline: Duration, hung_calls: HungCalls) -> Self {
        let turns = Arc::new(Semaphore::new(Self::TURNS));
        let hung = Arc::new(Hung::new(hung_calls, Self::CONNECTIONS * MAX_HUNG));
        Self { pool, keeper, turns, deadline, hung, failures: Throttle::default() }
    }

    /// A handle that does not have to wait for all others, for one who must not.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self { turns: Arc::new(Semaphore::new(1)), ..self.clone() }
    }

    /// The next events that a follower has not seen, and no more than `limit`; and the follower that has seen them.
    /// [`Error::EventsGone`] when the log is not the one that it has read before.
    pub async fn follow(&self, mut follower: Follower, limit: i64) -> Result<(Follower, Vec<Event>), Error> {
        let next = move |connection: &mut Connection| {
            let events = follower.next(connection, limit)?;
            Ok(events.map(|events| (follower, events)))
        };
        self.run(next).await?.ok_or(Error::EventsGone)
    }

    /// Runs work that changes nothing on a connection.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, Error> {
        self.run_unless(self.keeper.refusal(false), work).await
    }

    /// Runs work that changes something on a connection.
    async fn change<T: Send + 'static>(
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
        // The keeper has told why.
        if let Some(error) = refusal {
            return Err(error);
        }
        if self.keeper.readiness() == Readiness::Failing(Check::Database) {
            return Err(Error::Unavailable);
        }
        let turn = timeout(self.deadline, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(Error::Overloaded) };
        if self.hung.are_too_many() {
            return Err(Error::Unavailable);
        }
        let (pool, failures) = (self.pool.clone(), self.failures.clone());
        let (call, answer) = Call::new(turn, Arc::clone(&self.hung));
        tokio::task::spawn_blocking(move || {
            call.answer(run(&pool, &call.on_hang(), work).map_err(|trouble| tell(&failures, &trouble)));
        });
        // It is let go of without an answer when it hangs.
        answer.await.unwrap_or(Err(Error::Unavailable))
    }
}

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("no database connection: {0}")]
    NoConnection(#[from] r2d2::Error),
    #[error("{0}")]
    Refused(#[from] diesel::result::Error),
    #[error("panicked")]
    Panic,
}

fn tell(failures: &Throttle, trouble: &Trouble) -> Error {
    if let Some(more) = failures.admit() {
        log::warn!("the log of events: {trouble}{more}");
    }
    if matches!(trouble, Trouble::Panic) { Error::Internal } else { Error::Unavailable }
}

fn run<T>(pool: &Pool, on_hang: &OnHang, work: impl FnOnce(&mut Connection) -> QueryResult<T>) -> Result<T, Trouble> {
    let mut pooled = pool.check_out(on_hang)?;
    let done = catch_unwind(AssertUnwindSafe(|| work(&mut pooled.connection)));
    match done {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(failed(pool, pooled, error)),
        Err(_) => {
            pooled.discard();
            Err(Trouble::Panic)
        }
    }
}

fn failed(pool: &Pool, pooled: Pooled, error: diesel::result::Error) -> Trouble {
    pool.take_back(pooled, &error);
    error.into()
}

/// The one row of the table `event_log`.
#[derive(Queryable, Selectable)]
#[diesel(table_name = event_log)]
struct State {
    leader: Option<String>,
    beat: i64,
    standby: i64,
    sent_to: i64,
    pruned_to: i64,
}

impl State {
    const ID: i64 = 1;

    fn read(connection: &mut Connection) -> QueryResult<Self> {
        on_backend!(connection, |connection| {
            event_log::table.find(Self::ID).select(Self::as_select()).first(connection)
        })
    }

    /// Reads it, and keeps others from changing it until the transaction ends.
    fn lock(connection: &mut Connection) -> QueryResult<Self> {
        match connection {
            // A transaction that writes is the only one.
            Connection::Sqlite(_) => Self::read(connection),
            Connection::Postgres(postgres) => {
                event_log::table.find(Self::ID).select(Self::as_select()).for_update().first(postgres)
            }
        }
    }

    /// Up to where nothing is left to be sent: what was pruned is not sent any more.
    fn settled_to(&self) -> Position {
        Position(self.sent_to.max(self.pruned_to))
    }
}
