//! Runs a batch of writes on either database.

use super::request::Write;
use super::{postgres, sqlite, unstorable};
use crate::domain::{AsOf, EmailKey, Error, User, UserId};
use crate::metrics::Change;
use crate::storage::database::connection::Connection;
use crate::storage::database::connection::batch_error::BatchError;
use crate::storage::database::connection::locks::LockPolicy;
use crate::storage::engine::conflict_key::ConflictKey;
use crate::storage::engine::request::{Execution, Request};

impl Request for Write {
    /// The user after the write; for a delete, the user before it.
    type Answer = AsOf<User>;

    const UNANSWERED: Error = Error::OutcomeUnknown;

    const CHANGES: bool = true;

    fn run(
        connection: &mut Connection,
        batch: &[&Self],
        locks: LockPolicy,
    ) -> Result<Vec<Execution<Self>>, BatchError> {
        match connection {
            Connection::Sqlite(sqlite, cache) => sqlite::write_batch(sqlite, cache.as_ref(), batch),
            Connection::Postgres(postgres, cache) => {
                let executions = postgres::write_batch(postgres, batch, locks)
                    .or_else(|failure| unstorable::outcome_of_write(postgres, batch, failure));
                if let Some(cache) = cache {
                    cache.written(touched(batch, executions.as_deref().unwrap_or_default()));
                }
                executions
            }
        }
    }

    fn conflict_keys(&self) -> [Option<ConflictKey<'_>>; 3] {
        self.keys()
    }

    fn change(&self) -> Option<Change> {
        Some(match self {
            Self::Create(_) => Change::Created,
            Self::Update(_) => Change::Updated,
            Self::Delete(_) => Change::Deleted,
        })
    }
}

/// The users and the addresses about which callers are about to learn something: also by a refusal, and by a change of
/// unknown outcome.
fn touched<'a>(
    batch: &[&'a Write],
    executions: &[Execution<Write>],
) -> impl Iterator<Item = (Option<UserId>, Option<&'a EmailKey>)> {
    let created = executions.iter().map(|execution| match execution {
        Execution::Executed(Ok(AsOf { value: user, .. })) => Some(user.id),
        _ => None,
    });
    let created = created.chain(std::iter::repeat(None));
    batch.iter().zip(created).map(|(write, created)| (write.user().or(created), write.new_address()))
}
