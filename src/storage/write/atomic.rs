//! An atomic batch: all of its writes are executed in one transaction, or none.
//!
//! It travels through a lane of its own, one transaction each, and not among the other writes: those share a statement,
//! and none of them may fail another. On PostgreSQL it meets them as it would meet those of another replica.
//!
//! The order is: deletes, updates, creates. So an address that a delete frees can be taken, on both databases alike.

use super::batch::touched;
use super::replays::Replays;
use super::request::Write;
use super::{postgres, sqlite};
use crate::domain::{AsOf, Error, Position, User, Written};
use crate::metrics::Change;
use crate::storage::database::connection::Connection;
use crate::storage::database::connection::batch_error::BatchError;
use crate::storage::database::connection::locks::LockPolicy;
use crate::storage::engine::request::{Execution, Request};

/// Writes of which no two touch the same user or the same address.
pub(crate) struct AtomicBatch {
    pub(crate) writes: Vec<Write>,
}

/// The operation for which an atomic batch was refused as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedOperation {
    /// Its place in the batch, from 0.
    pub place: usize,
    pub error: Error,
}

/// The users that the writes have left, `None` where one was deleted; or why nothing was changed.
pub(crate) type AtomicAnswer = Result<Written<Vec<Option<User>>>, RefusedOperation>;

impl Request for AtomicBatch {
    type Answer = AtomicAnswer;

    const UNANSWERED: Error = Error::OutcomeUnknown;

    const CHANGES: bool = true;

    // Each is a transaction.
    const MAX_BATCH: usize = 1;

    fn run(
        connection: &mut Connection,
        batch: &[&Self],
        locks: LockPolicy,
    ) -> Result<Vec<Execution<Self>>, BatchError> {
        batch.iter().map(|batch| batch.execute(connection, locks)).collect()
    }

    fn count_changes(&self, answer: &Self::Answer, count: impl FnMut(Change)) {
        if answer.as_ref().is_ok_and(|written| !written.is_replay) {
            self.writes.iter().map(Write::change).for_each(count);
        }
    }
}

impl AtomicBatch {
    fn execute(&self, connection: &mut Connection, locks: LockPolicy) -> Result<Execution<Self>, BatchError> {
        connection.begin_transaction_on_postgres()?;
        if self.writes.iter().any(|write| write.once().is_some())
            && let Some(answer) = self.find_answer(connection)?
        {
            connection.roll_back_batch()?;
            return Ok(Execution::Executed(answer));
        }
        let ordered = self.in_order();
        let writes = Vec::from_iter(ordered.iter().map(|(_, write)| *write));
        let outcomes = match connection {
            Connection::Sqlite(sqlite, cache) => {
                sqlite::write_all_or_none(sqlite, cache.as_ref(), &writes).map(Some)?
            }
            Connection::Postgres(postgres, cache) => {
                let result = postgres::write_all_or_none(postgres, &writes, locks);
                if let Some(cache) = cache {
                    let users = result.iter().flatten().flat_map(|(outcomes, _)| outcomes);
                    cache.written(touched(&writes, users.map(|outcome| outcome.as_ref().ok())));
                }
                result?
            }
        };
        let Some((outcomes, end)) = outcomes else { return Ok(Execution::Locked) };
        Ok(Execution::Executed(Ok(answer(&ordered, outcomes, end))))
    }

    /// The writes in the order in which they are executed, with their places.
    fn in_order(&self) -> Vec<(usize, &Write)> {
        let mut writes = Vec::from_iter(self.writes.iter().enumerate());
        writes.sort_by_key(|(_, write)| match write.change() {
            Change::Deleted => 0,
            Change::Updated => 1,
            Change::Created => 2,
        });
        writes
    }

    /// The outcome if a batch with this idempotency key was executed before.
    ///
    /// Its answer is complete only as long as none of it was pruned. After that the key still belongs to it.
    fn find_answer(&self, connection: &mut Connection) -> Result<Option<Result<AtomicAnswer, Error>>, BatchError> {
        let replays = Replays::find(connection, self.writes.iter())?;
        let outcomes = Vec::from_iter(self.writes.iter().map(|write| replays.outcome_of(write)));
        if outcomes.iter().all(Option::is_none) {
            return Ok(None);
        }
        let mut end = Position::default();
        let users = outcomes.into_iter().map(|outcome| {
            let AsOf { value, position, .. } = outcome.unwrap_or(Err(Error::KeyReused))?.answer;
            end = end.max(position);
            Ok(value)
        });
        let users = users.collect::<Result<Vec<_>, Error>>();
        Ok(Some(users.map(|users| Ok(Written { answer: AsOf::latest(users, end), is_replay: true }))))
    }
}

/// The answer, from the outcomes in the order of execution.
fn answer(ordered: &[(usize, &Write)], outcomes: Vec<Result<User, Error>>, end: Position) -> AtomicAnswer {
    let mut users = vec![None; ordered.len()];
    let mut refused: Option<RefusedOperation> = None;
    for ((place, write), outcome) in ordered.iter().zip(outcomes) {
        match outcome {
            Ok(user) => {
                if let Some(slot) = users.get_mut(*place) {
                    *slot = (write.change() != Change::Deleted).then_some(user);
                }
            }
            Err(error) if refused.as_ref().is_none_or(|refused| *place < refused.place) => {
                refused = Some(RefusedOperation { place: *place, error });
            }
            Err(_) => {}
        }
    }
    refused.map_or(Ok(Written { answer: AsOf::latest(users, end), is_replay: false }), Err)
}
