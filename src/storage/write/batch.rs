//! Runs a batch of writes on either database.

use super::request::Write;
use super::{postgres, sqlite, unstorable};
use crate::domain::{AsOf, Error, User};
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
            Connection::Postgres(postgres, cache) => postgres::write_batch(postgres, cache.as_ref(), batch, locks)
                .or_else(|failure| unstorable::outcome_of_write(postgres, batch, failure)),
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
