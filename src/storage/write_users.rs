//! Writes: what a batch of creates, updates and deletes becomes.

use diesel::QueryResult;
use diesel::sqlite::SqliteConnection;

use super::batch_error::BatchError;
use super::connection::{Connection, write_and_commit};
use super::create_users::create_in_order;
use super::delete_users::delete_one;
use super::lane::{Ran, Request};
use super::locks::Locks;
use super::record_events::Occasion;
use super::touched::Touched;
use super::unstorable;
use super::update_users::update_one;
use super::write::Write;
use super::write_together::write_together;
use crate::metrics::Change;
use crate::users::{Error, User};

impl Request for Write {
    /// The user as the write left it; for a delete, as it was.
    type Answer = User;

    const UNANSWERED: Error = Error::OutcomeUnknown;

    const CHANGES: bool = true;

    fn run(connection: &mut Connection, batch: &[&Self], locks: Locks) -> Result<Vec<Ran<Self>>, BatchError> {
        let occasion = Occasion::now();
        match connection {
            Connection::Sqlite(sqlite) => write_and_commit(sqlite, |sqlite| write_in_order(sqlite, batch, occasion)),
            Connection::Postgres(postgres) => write_together(postgres, batch, occasion, locks)
                .or_else(|failure| unstorable::outcome_of_write(postgres, batch, failure)),
        }
    }

    fn touches(&self) -> [Option<Touched<'_>>; 3] {
        self.touched()
    }

    fn change(&self) -> Option<Change> {
        Some(match self {
            Self::Create(_) => Change::Created,
            Self::Update(_) => Change::Updated,
            Self::Delete(_) => Change::Deleted,
        })
    }
}

/// On SQLite a statement costs no round trip, so each message has statements of its own, in the order of arrival; but creates
/// that follow each other share some.
fn write_in_order(sqlite: &mut SqliteConnection, batch: &[&Write], occasion: Occasion) -> QueryResult<Vec<Ran<Write>>> {
    let mut outcomes = Vec::with_capacity(batch.len());
    for run in batch.chunk_by(|one, next| one.create().is_some() && next.create().is_some()) {
        match run {
            [Write::Update(update)] => outcomes.push(update_one(sqlite, update, occasion)?),
            [Write::Delete(delete)] => outcomes.push(delete_one(sqlite, delete, occasion)?),
            creates => {
                let rows = Vec::from_iter(creates.iter().filter_map(|write| write.create()));
                outcomes.extend(create_in_order(sqlite, &rows, occasion)?);
            }
        }
    }
    Ok(outcomes.into_iter().map(Ran::Executed).collect())
}
