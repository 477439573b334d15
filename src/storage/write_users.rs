//! Writes: what a batch of creates, updates and deletes becomes.

use diesel::QueryResult;
use diesel::sqlite::SqliteConnection;

use super::batch_error::BatchError;
use super::connection::{Connection, write_transaction};
use super::create_users::create_one;
use super::delete_users::delete_one;
use super::event_row::Kind;
use super::lane::{Outcome, Request};
use super::record_events::{Occasion, record_one};
use super::update_users::update_one;
use super::write::Write;
use super::write_together::write_together;
use crate::metrics::Change;
use crate::users::{Error, User};

impl Request for Write {
    /// The user as the write left it; for a delete, as it was.
    type Answer = User;

    const UNANSWERED: Error = Error::OutcomeUnknown;

    fn run(connection: &mut Connection, batch: &[&Self]) -> Result<Vec<Option<Outcome<Self>>>, BatchError> {
        let occasion = Occasion::now();
        match connection {
            Connection::Sqlite(sqlite) => {
                let write_all =
                    |sqlite: &mut _| batch.iter().map(|write| write_one(sqlite, write, occasion).map(Some)).collect();
                write_transaction(sqlite, write_all)
            }
            Connection::Postgres(postgres) => write_together(postgres, batch, occasion),
        }
    }

    fn change(&self) -> Option<Change> {
        Some(match self {
            Self::Create(_) => Change::Created,
            Self::Update(_) => Change::Updated,
            Self::Delete(_) => Change::Deleted,
        })
    }
}

/// On SQLite a statement costs no round trip, so each message is a cached statement of its own, in the order of arrival.
fn write_one(sqlite: &mut SqliteConnection, write: &Write, occasion: Occasion) -> QueryResult<Outcome<Write>> {
    let (kind, trace, outcome) = match write {
        Write::Create(row) => (Kind::Created, row.trace(), create_one(sqlite, row, occasion.now)?),
        Write::Update(update) => (Kind::Updated, update.trace, update_one(sqlite, update, occasion.now)?),
        Write::Delete(delete) => (Kind::Deleted, delete.trace, delete_one(sqlite, delete)?),
    };
    if let Ok(user) = &outcome {
        record_one(sqlite, kind, user, trace, occasion)?;
    }
    Ok(outcome)
}
