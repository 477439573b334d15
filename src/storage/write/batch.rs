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
            let executions = executions.as_deref().unwrap_or_default();
            cache.written(touched(batch, executions.iter().map(user_of)));
        }
        executions
    }

    fn conflict_keys(&self) -> [Option<ConflictKey<'_>>; 4] {
        self.keys()
    }

    fn count_changes(&self, answer: &Self::Answer, mut count: impl FnMut(Change)) {
        if !answer.is_replay {
            count(self.change());
        }
    }
}

/// The user that a write has left.
fn user_of(execution: &Execution<Write>) -> Option<&User> {
    match execution {
        Execution::Executed(Ok(written)) => written.answer.value.as_ref(),
        _ => None,
    }
}

/// The users and the addresses about which callers are about to learn something: also by a refusal, and by a change of
/// unknown outcome. `users` are those that the writes have left, as far as that is known.
fn touched<'a>(
    writes: &[&'a Write],
    users: impl Iterator<Item = Option<&'a User>>,
) -> impl Iterator<Item = (Option<UserId>, Option<&'a EmailKey>)> {
    let users = users.map(|user| user.map(|user| user.id)).chain(std::iter::repeat(None));
    writes.iter().zip(users).map(|(write, user)| (write.user().or(user), write.new_address()))
}
