//! A chunk of an import: its users and the progress of the import are stored in one transaction.
//!
//! So what is committed is always a beginning of the file, and after a crash the import goes on exactly there. A chunk
//! travels through a lane of its own, one transaction each.

mod postgres;
mod progress;
mod sqlite;

use std::sync::Arc;
use std::time::Instant;

use diesel::QueryResult;

use super::request::{Create, Update, Write};
use crate::domain::{
    Changes, EmailKey, Error, ImportCounts, ImportFailure, ImportProgress, NewUser, OnConflict, Position, Timestamp,
    User, UserId,
};
use crate::metrics::Change;
use crate::storage::database::connection::Connection;
use crate::storage::database::connection::batch_error::BatchError;
use crate::storage::database::connection::locks::LockPolicy;
use crate::storage::engine::request::{Execution, Request};
use crate::storage::event_log::record::Stamp;
use crate::storage::user_cache::UserChange;

pub(crate) use progress::{ImportRow, code_of, find_failures};

/// A chunk on its way. It may be sent again, so clones share it.
#[derive(Clone)]
pub(crate) struct ImportChunk(pub(crate) Arc<Chunk>);

/// Consecutive records of an import.
pub(crate) struct Chunk {
    /// The import's id in the database.
    pub(crate) import: i64,
    /// The upload that the records are from.
    pub(crate) upload: i64,
    /// The line at which they begin: where the import has to stand.
    pub(crate) from_line: i64,
    /// Where it stands after them.
    pub(crate) progress: ImportProgress,
    /// Until when no other upload may begin after that.
    pub(crate) held_until: Timestamp,
    pub(crate) on_conflict: OnConflict,
    pub(crate) rows: Vec<Row>,
    /// What is wrong with records that are no rows, and how many of these there are.
    pub(crate) failures: Vec<ImportFailure>,
    pub(crate) failed: i64,
}

/// A record that is a valid user.
pub(crate) struct Row {
    /// The line at which it begins.
    pub(crate) line: i64,
    /// A create.
    pub(crate) write: Write,
}

/// Another upload has taken over the import, or it was deleted. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Superseded;

impl Request for ImportChunk {
    type Answer = Result<ImportCounts, Superseded>;

    const UNANSWERED: Error = Error::OutcomeUnknown;

    const CHANGES: bool = true;

    // Each is a transaction.
    const MAX_BATCH: usize = 1;

    fn run(
        connection: &mut Connection,
        batch: &[&Self],
        locks: LockPolicy,
    ) -> Result<Vec<Execution<Self>>, BatchError> {
        batch.iter().map(|Self(chunk)| store(connection, chunk, locks)).collect()
    }

    fn count_changes(&self, answer: &Self::Answer, mut count: impl FnMut(Change)) {
        if let Ok(ImportCounts { created, updated, .. }) = answer {
            (0..*created).for_each(|_| count(Change::Created));
            (0..*updated).for_each(|_| count(Change::Updated));
        }
    }
}

/// Stores a chunk, if the import still stands where it begins.
fn store(connection: &mut Connection, chunk: &Chunk, locks: LockPolicy) -> Result<Execution<ImportChunk>, BatchError> {
    let (own_commit, begun) = (connection.begin_own_commit(), Instant::now());
    connection.begin_transaction_on_postgres()?;
    let written = write(connection, chunk, locks);
    if let Connection::Postgres(_, Some(cache)) = connection {
        let rows = written.as_ref().map_or(&[][..], |written| written.rows());
        let users = rows.iter().map(|row| row.user().map(|user| user.id)).chain(std::iter::repeat(None));
        let addresses = chunk.rows.iter().map(|row| row.write.new_address());
        cache.written(users.zip(addresses));
    }
    match written.map_err(|error| BatchError::before_commit(error, locks, begun.elapsed()))? {
        Written::Stored(counts, rows, end) => {
            connection.commit_batch()?;
            if let Some(own_commit) = own_commit {
                own_commit.take_in(chunk.rows.iter().zip(&rows).filter_map(change), end);
            }
            Ok(Execution::Executed(Ok(Ok(counts))))
        }
        Written::Locked => {
            connection.roll_back_batch()?;
            Ok(Execution::Locked)
        }
        Written::Superseded => {
            connection.roll_back_batch()?;
            Ok(Execution::Executed(Ok(Err(Superseded))))
        }
    }
}

/// What was written, before it is committed.
enum Written {
    /// The counts, what has become of each row, and the offset of the last event, if there is one.
    Stored(ImportCounts, Vec<RowOutcome>, Option<Position>),
    /// Another transaction holds one of the users.
    Locked,
    Superseded,
}

impl Written {
    fn rows(&self) -> &[RowOutcome] {
        if let Self::Stored(_, rows, _) = self { rows } else { &[] }
    }
}

fn write(connection: &mut Connection, chunk: &Chunk, locks: LockPolicy) -> QueryResult<Written> {
    if !progress::is_current(connection, chunk)? {
        return Ok(Written::Superseded);
    }
    let stamp = Stamp::now();
    let (rows, end) = match connection {
        Connection::Sqlite(sqlite, _) => sqlite::store_rows(sqlite, chunk, stamp)?,
        Connection::Postgres(postgres, _) => match postgres::store_rows(postgres, chunk, locks)? {
            Some(stored) => stored,
            None => return Ok(Written::Locked),
        },
    };
    let (counts, failures) = summary(chunk, &rows);
    progress::advance(connection, chunk, counts, &failures, stamp.now)?;
    let end = rows.iter().any(|row| row.user().is_some()).then_some(end);
    Ok(Written::Stored(counts, rows, end))
}

/// What has become of a row.
enum RowOutcome {
    Created(User),
    Updated(User),
    Skipped,
    /// Another user has the address.
    Taken,
}

impl RowOutcome {
    fn user(&self) -> Option<&User> {
        match self {
            Self::Created(user) | Self::Updated(user) => Some(user),
            Self::Skipped | Self::Taken => None,
        }
    }

    /// Of a row whose address another user has, unless that one is to be updated.
    const fn of_taken(on_conflict: OnConflict) -> Self {
        match on_conflict {
            OnConflict::Skip => Self::Skipped,
            OnConflict::Fail | OnConflict::Update => Self::Taken,
        }
    }

    fn of_update(updated: Result<User, Error>) -> Self {
        updated.map_or(Self::Taken, Self::Updated)
    }
}

/// Counts the records of a chunk, and says which of its rows have failed.
fn summary(chunk: &Chunk, rows: &[RowOutcome]) -> (ImportCounts, Vec<ImportFailure>) {
    let mut counts = ImportCounts { failed: chunk.failed, ..ImportCounts::default() };
    let mut failures = Vec::new();
    for (row, outcome) in chunk.rows.iter().zip(rows) {
        match outcome {
            RowOutcome::Created(_) => counts.created += 1,
            RowOutcome::Updated(_) => counts.updated += 1,
            RowOutcome::Skipped => counts.skipped += 1,
            RowOutcome::Taken => {
                counts.failed += 1;
                let (code, detail) = (Error::EmailTaken.code().to_owned(), Error::EmailTaken.to_string());
                failures.push(ImportFailure { line: row.line, code, pointer: Some("/email".to_owned()), detail });
            }
        }
    }
    (counts, failures)
}

fn change<'a>((row, outcome): (&'a Row, &'a RowOutcome)) -> Option<UserChange<'a>> {
    let user = outcome.user()?;
    Some(UserChange::Stored { user, email_key: row.write.new_address().map(EmailKey::legacy) })
}

/// Whether a user has the name and the email of a row, spelled so.
fn has_name_and_email(user: &User, create: &Create) -> bool {
    user.name == create.new_user().name && user.email == create.new_user().email
}

/// The update that gives a user the name and the email of a row.
fn update_of(id: UserId, create: &Create) -> Update {
    let NewUser { name, email } = create.new_user().clone();
    Update::new(id, None, Changes { name: Some(name), email: Some(email) }, None, None)
}
