//! Executes writes on either database.

use super::postgres::unstorable;
use super::request::Write;
use super::{postgres, sqlite};
use crate::storage::database::connection::Connection;
use crate::storage::database::connection::batch_error::BatchError;
use crate::storage::database::connection::locks::LockPolicy;
use crate::storage::engine::request::Execution;

pub(super) type Executions = Result<Vec<Execution<Write>>, BatchError>;

pub(super) fn execute(connection: &mut Connection, batch: &[&Write], locks: LockPolicy) -> Executions {
    match connection {
        Connection::Sqlite(sqlite, cache) => sqlite::write_batch(sqlite, cache.as_ref(), batch),
        // All were executed before. On SQLite a transaction has to end.
        Connection::Postgres(..) if batch.is_empty() => Ok(Vec::new()),
        Connection::Postgres(postgres, _) => postgres::write_batch(postgres, batch, locks)
            .or_else(|failure| unstorable::outcome_of_write(postgres, batch, failure)),
    }
}
