//! Runs a batch of writes on either database.

use super::execute::execute;
use super::once::execute_once;
use super::request::Write;
use crate::domain::{EmailKey, Error, User, UserId, Written};
use crate::metrics::Change;
use crate::storage::database::connection::Connection;
use crate::storage::database::connection::batch_error::BatchError;
use crate::storage::database::connection::locks::LockPolicy;
use crate::storage::engine::conflict_key::ConflictKey;
use crate::storage::engine::request::{Execution, Request};

impl Request for Write {
    /// The user after the write; for a delete the user before it, or `None` if that was executed earlier.
    type Answer = Written<Option<User>>;

    const UNANSWERED: Error = Error::OutcomeUnknown;

    const CHANGES: bool = true;

    fn run(
        connection: &mut Connection,
        batch: &[&Self],
        locks: LockPolicy,
    ) -> Result<Vec<Execution<Self>>, BatchError> {
        let executions = if batch.iter().any(|write| write.once().is_some()) {
            execute_once(connection, batch, locks)
        } else {
            execute(connection, batch, locks)
        };
        if let Connection::Postgres(_, Some(cache)) = connection {
            cache.written(touched(batch, executions.as_deref().unwrap_or_default()));
        }
        executions
    }

    fn conflict_keys(&self) -> [Option<ConflictKey<'_>>; 3] {
        self.keys()
    }

    fn change(&self, answer: &Self::Answer) -> Option<Change> {
        let change = match self {
            Self::Create(_) => Change::Created,
            Self::Update(_) => Change::Updated,
            Self::Delete(_) => Change::Deleted,
        };
        (!answer.is_replay).then_some(change)
    }
}

/// The users and the addresses about which callers are about to learn something: also by a refusal, and by a change of
/// unknown outcome.
fn touched<'a>(
    batch: &[&'a Write],
    executions: &[Execution<Write>],
) -> impl Iterator<Item = (Option<UserId>, Option<&'a EmailKey>)> {
    let created = executions.iter().map(|execution| match execution {
        Execution::Executed(Ok(written)) => written.answer.value.as_ref().map(|user| user.id),
        _ => None,
    });
    let created = created.chain(std::iter::repeat(None));
    batch.iter().zip(created).map(|(write, created)| (write.user().or(created), write.new_address()))
}
