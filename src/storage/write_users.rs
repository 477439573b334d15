//! Writes: what a batch of creates, updates and deletes becomes.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use diesel::QueryResult;
use diesel::pg::PgConnection;
use diesel::result::Error as DieselError;
use diesel::sqlite::SqliteConnection;

use super::batch_error::BatchError;
use super::connection::Connection;
use super::create_users::{NewRow, create_many, create_one};
use super::delete_users::{delete_many, delete_one};
use super::lane::{Outcome, Request};
use super::update_users::{lock, update_many, update_one};
use super::waves::{Planned, Wave, waves};
use super::write::Write;
use crate::users::{Error, Timestamp, User};

impl Request for Write {
    /// The user as the write left it; for a delete, as it was.
    type Answer = User;

    const UNANSWERED: Error = Error::OutcomeUnknown;

    fn run(connection: &mut Connection, batch: &[&Self]) -> Result<Vec<Outcome<Self>>, BatchError> {
        let now = Timestamp::now();
        let waves = match connection {
            Connection::Sqlite(_) => Vec::new(),
            Connection::Postgres(_) => waves(batch),
        };
        if let (Connection::Postgres(postgres), Some(creates)) = (&mut *connection, only_creates(&waves)) {
            return create_at_once(postgres, creates, now);
        }
        connection.begin_write()?;
        let outcomes = match connection {
            Connection::Sqlite(sqlite) => write_one_by_one(sqlite, batch, now),
            Connection::Postgres(postgres) => write_together(postgres, batch, waves, now),
        }?;
        connection.commit()?;
        Ok(outcomes)
    }
}

/// On SQLite a statement costs no round trip, so each message is a cached statement of its own.
fn write_one_by_one(
    sqlite: &mut SqliteConnection,
    batch: &[&Write],
    now: Timestamp,
) -> QueryResult<Vec<Outcome<Write>>> {
    let write_one = |write: &&Write| match write {
        Write::Create(row) => create_one(sqlite, row, now),
        Write::Update(update) => update_one(sqlite, update, now),
        Write::Delete(delete) => delete_one(sqlite, delete),
    };
    batch.iter().map(write_one).collect()
}

/// The rows of a batch that only creates, and gives no address twice.
fn only_creates<'a, 'b>(waves: &'b [Wave<'a>]) -> Option<&'b [Planned<'a, NewRow>]> {
    match waves {
        [Wave { creates, updates, deletes }] if updates.is_empty() && deletes.is_empty() => Some(creates),
        _ => None,
    }
}

/// The most frequent batch is one statement, and so a transaction of its own accord: BEGIN and COMMIT would be two more
/// round trips, which take a third of the throughput. Whatever panics may do so after the commit.
fn create_at_once(
    postgres: &mut PgConnection,
    rows: &[Planned<'_, NewRow>],
    now: Timestamp,
) -> Result<Vec<Outcome<Write>>, BatchError> {
    let panicked = |_| Err(DieselError::DeserializationError("panicked".into()));
    let created = catch_unwind(AssertUnwindSafe(|| create_many(postgres, &requests(rows), now)));
    let created = created.unwrap_or_else(panicked).map_err(BatchError::of_lone_statement)?;
    let mut outcomes = vec![Err(Error::Internal); rows.len()];
    place(&mut outcomes, rows, created);
    Ok(outcomes)
}

/// On PostgreSQL each wave is one statement a kind.
fn write_together(
    postgres: &mut PgConnection,
    batch: &[&Write],
    waves: Vec<Wave<'_>>,
    now: Timestamp,
) -> QueryResult<Vec<Outcome<Write>>> {
    let mut versions = lock_all(postgres, batch)?;
    let mut outcomes = vec![Err(Error::Internal); batch.len()];
    for Wave { creates, updates, deletes } in waves {
        if !creates.is_empty() {
            place(&mut outcomes, &creates, create_many(postgres, &requests(&creates), now)?);
        }
        if !updates.is_empty() {
            let updated = update_many(postgres, &requests(&updates), &versions, now)?;
            versions.extend(updated.iter().flatten().map(|user| (user.id.get(), user.version.0)));
            place(&mut outcomes, &updates, updated);
        }
        if !deletes.is_empty() {
            let deleted = delete_many(postgres, &requests(&deletes), &versions)?;
            for user in deleted.iter().flatten() {
                versions.remove(&user.id.get());
            }
            place(&mut outcomes, &deletes, deleted);
        }
    }
    Ok(outcomes)
}

fn lock_all(postgres: &mut PgConnection, batch: &[&Write]) -> QueryResult<HashMap<i64, i64>> {
    let ids = Vec::from_iter(batch.iter().filter_map(|write| match write {
        Write::Create(_) => None,
        Write::Update(update) => Some(update.id.get()),
        Write::Delete(delete) => Some(delete.id.get()),
    }));
    if ids.is_empty() { Ok(HashMap::new()) } else { lock(postgres, &ids) }
}

fn requests<'a, T>(planned: &[Planned<'a, T>]) -> Vec<&'a T> {
    planned.iter().map(|(_, request)| *request).collect()
}

fn place<T>(outcomes: &mut [Outcome<Write>], planned: &[Planned<'_, T>], results: Vec<Outcome<Write>>) {
    for ((at, _), result) in planned.iter().zip(results) {
        if let Some(outcome) = outcomes.get_mut(*at) {
            *outcome = result;
        }
    }
}
