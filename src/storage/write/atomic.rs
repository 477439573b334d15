//! An atomic batch: all of its writes are executed in one transaction, or none.
//!
//! It travels through a lane of its own, one transaction each, and not among the other writes: those share a statement,
//! and none of them may fail another. On PostgreSQL it meets them as it would meet those of another replica.
//!
//! The order is: deletes, updates, creates. So an address that a delete frees can be taken, on both databases alike.

use diesel::result::Error as DieselError;

use super::postgres::unstorable;
use super::replays::Replays;
use super::request::Write;
use super::{postgres, sqlite};
use crate::domain::{AsOf, Error, Position, User, UserId, Written};
use crate::metrics::Change;
use crate::storage::database::connection::Connection;
use crate::storage::database::connection::batch_error::BatchError;
use crate::storage::database::connection::locks::LockPolicy;
use crate::storage::engine::request::{Execution, Request};

/// Writes of which no two touch the same user, address or external id.
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
        if let Some(answer) = self.find_answer(connection)? {
            connection.roll_back_batch()?;
            self.tell_cache(connection, &[]);
            return Ok(Execution::Executed(answer));
        }
        let ordered = self.in_order();
        let writes = Vec::from_iter(ordered.iter().map(|(_, write)| *write));
        let written = match connection {
            Connection::Sqlite(sqlite, cache) => sqlite::write_all_or_none(sqlite, cache.as_ref(), &writes).map(Some),
            Connection::Postgres(postgres, _) => postgres::write_all_or_none(postgres, &writes, locks),
        };
        let users = written.iter().flatten().flat_map(|(outcomes, _)| outcomes);
        let users = Vec::from_iter(users.filter_map(|outcome| outcome.as_ref().ok()).map(|user| user.id));
        self.tell_cache(connection, &users);
        let (outcomes, end) = match written {
            Ok(Some(written)) => written,
            Ok(None) => return Ok(Execution::Locked),
            Err(BatchError::NotExecuted(error)) => return self.find_unstorable(connection, error),
            Err(error) => return Err(error),
        };
        let answer = answer(&ordered, outcomes, end);
        if answer.is_err()
            && matches!(connection, Connection::Postgres(..))
            && let Some(answer) = self.find_answer(connection)?
        {
            // It was refused because another replica has executed it meanwhile.
            return Ok(Execution::Executed(answer));
        }
        Ok(Execution::Executed(Ok(answer)))
    }

    /// Tells the user cache on PostgreSQL about what callers are about to learn something: these users, and those that the
    /// batch names.
    fn tell_cache(&self, connection: &Connection, users: &[UserId]) {
        if let Connection::Postgres(_, Some(cache)) = connection {
            let named = self.writes.iter().map(|write| (write.user(), write.new_address()));
            cache.written(named.chain(users.iter().map(|id| (Some(*id), None))));
        }
    }

    /// Refuses the batch for a text that PostgreSQL cannot store, if that is why it has failed.
    fn find_unstorable(&self, connection: &mut Connection, error: DieselError) -> Result<Execution<Self>, BatchError> {
        if let Connection::Postgres(..) = connection
            && connection.recover()
            && let Connection::Postgres(postgres, _) = connection
        {
            for (place, write) in self.writes.iter().enumerate() {
                let fields = unstorable::fields(postgres, write, &error);
                if !fields.is_empty() {
                    return Ok(Execution::Executed(Ok(Err(RefusedOperation { place, error: fields.into() }))));
                }
            }
        }
        Err(BatchError::NotExecuted(error))
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
        if self.writes.iter().all(|write| write.once().is_none()) {
            return Ok(None);
        }
        let replays = Replays::find(connection, self.writes.iter())?;
        let outcomes = Vec::from_iter(self.writes.iter().map(|write| replays.outcome_of(write)));
        if outcomes.iter().all(Option::is_none) {
            return Ok(None);
        }
        let mut end = Position::default();
        let users = outcomes.into_iter().zip(&self.writes).map(|(outcome, write)| {
            let AsOf { value, position, .. } = outcome.unwrap_or(Err(Error::KeyReused))?.answer;
            end = end.max(position);
            // An operator may have erased what was stored of a user.
            if value.is_none() && write.change() != Change::Deleted { Err(Error::NotFound) } else { Ok(value) }
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
