//! A chunk of an import: its users and the progress of the import are stored in one transaction.
//!
//! So what is committed is always a beginning of the file, and after a crash the import goes on exactly there. A chunk
//! travels through a lane of its own, one transaction each.

mod postgres;
mod progress;
mod sqlite;

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::QueryResult;
use diesel::result::Error as DieselError;

use super::postgres::unstorable;
use super::request::{Create, Update, Write};
use crate::domain::{
    Changes, EmailKey, Error, FieldError, ImportCounts, ImportFailure, ImportProgress, NewUser, OnConflict, Position,
    ProfileChange, User, UserId,
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
    /// For how long no other upload may begin after that.
    pub(crate) lease: Duration,
    pub(crate) on_conflict: OnConflict,
    /// No two have the same address.
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
    /// What the record changes of the profile, if a user is updated.
    pub(crate) profile: Option<Box<ProfileChange>>,
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
        batch.iter().map(|Self(chunk)| store_chunk(connection, chunk, locks)).collect()
    }

    fn count_changes(&self, answer: &Self::Answer, mut count: impl FnMut(Change)) {
        if let Ok(ImportCounts { created, updated, .. }) = answer {
            (0..*created).for_each(|_| count(Change::Created));
            (0..*updated).for_each(|_| count(Change::Updated));
        }
    }
}

/// Stores a chunk, if the import still stands where it begins. Rows that PostgreSQL cannot store have failed.
fn store_chunk(
    connection: &mut Connection,
    chunk: &Chunk,
    locks: LockPolicy,
) -> Result<Execution<ImportChunk>, BatchError> {
    let rows = Vec::from_iter(&chunk.rows);
    match store(connection, chunk, &rows, &[], locks) {
        Err(BatchError::NotExecuted(error)) if matches!(connection, Connection::Postgres(..)) => {
            let (rows, failures) = without_unstorable(connection, rows, &error);
            if failures.is_empty() {
                return Err(BatchError::NotExecuted(error));
            }
            store(connection, chunk, &rows, &failures, locks)
        }
        stored => stored,
    }
}

/// Pages in SQLite's log after which a commit copies them into the database: by default, and while an import runs. A
/// chunk writes to as many pages as by default cause that, and so each would wait for the disk twice.
const USUAL_PAGES: u32 = 1_000;
const PAGES_OF_IMPORT: u32 = 16 * USUAL_PAGES;

/// Stores these rows of a chunk, in the transaction that was begun. `failures` are those of its other rows, one each.
fn store(
    connection: &mut Connection,
    chunk: &Chunk,
    rows: &[&Row],
    failures: &[ImportFailure],
    locks: LockPolicy,
) -> Result<Execution<ImportChunk>, BatchError> {
    let (own_commit, begun) = (connection.begin_own_commit(), Instant::now());
    connection.checkpoint_after(PAGES_OF_IMPORT)?;
    connection.begin_transaction_on_postgres()?;
    let written = write(connection, chunk, rows, failures, locks);
    let written = written.map_err(|error| BatchError::before_commit(error, locks, begun.elapsed()));
    let ended = written.and_then(|written| {
        if let Written::Stored { .. } = written {
            connection.commit_batch()
        } else {
            Ok(connection.roll_back_batch()?)
        }?;
        Ok(written)
    });
    tell_cache(connection, rows, ended.as_ref().ok());
    // The connection goes back to others. It works with either setting.
    let _ = connection.checkpoint_after(USUAL_PAGES);
    match ended? {
        Written::Stored { counts, outcomes, end } => {
            if let Some(own_commit) = own_commit {
                own_commit.take_in(rows.iter().zip(&outcomes).filter_map(change), end);
            }
            Ok(Execution::Executed(Ok(Ok(counts))))
        }
        Written::Locked => Ok(Execution::Locked),
        Written::Superseded => Ok(Execution::Executed(Ok(Err(Superseded)))),
    }
}

/// Tells the user cache on PostgreSQL about what callers may learn something: the users of these rows.
fn tell_cache(connection: &Connection, rows: &[&Row], written: Option<&Written>) {
    if let Connection::Postgres(_, Some(cache)) = connection {
        let outcomes = if let Some(Written::Stored { outcomes, .. }) = written { &outcomes[..] } else { &[] };
        let users = outcomes.iter().map(|outcome| outcome.user().map(|user| user.id)).chain(std::iter::repeat(None));
        cache.written(users.zip(rows.iter().map(|row| row.write.new_address())));
    }
}

/// The rows without those that PostgreSQL cannot store, if that is why their statement has failed; and what is wrong with
/// these.
fn without_unstorable<'a>(
    connection: &mut Connection,
    rows: Vec<&'a Row>,
    error: &DieselError,
) -> (Vec<&'a Row>, Vec<ImportFailure>) {
    let mut failures = Vec::new();
    if !connection.recover() {
        return (rows, failures);
    }
    let Connection::Postgres(postgres, _) = connection else { return (rows, failures) };
    let is_storable = |row: &&Row| {
        let fields = unstorable::fields(postgres, &row.write, error);
        let first = fields.first().map(|field| failure(row.line, &Error::Invalid(Vec::new()), field));
        let is_storable = first.is_none();
        failures.extend(first);
        is_storable
    };
    (rows.into_iter().filter(is_storable).collect(), failures)
}

/// What was written, before it is committed.
enum Written {
    Stored {
        counts: ImportCounts,
        /// What has become of each row.
        outcomes: Vec<RowOutcome>,
        /// The offset of the last event, if there is one.
        end: Option<Position>,
    },
    /// Another transaction holds one of the users.
    Locked,
    Superseded,
}

fn write(
    connection: &mut Connection,
    chunk: &Chunk,
    rows: &[&Row],
    failures: &[ImportFailure],
    locks: LockPolicy,
) -> QueryResult<Written> {
    if !progress::is_current(connection, chunk)? {
        return Ok(Written::Superseded);
    }
    let stamp = Stamp::now();
    let (outcomes, end) = match connection {
        Connection::Sqlite(sqlite, _) => sqlite::store_rows(sqlite, rows, chunk.on_conflict, stamp)?,
        Connection::Postgres(postgres, _) => match postgres::store_rows(postgres, rows, chunk.on_conflict, locks)? {
            Some(stored) => stored,
            None => return Ok(Written::Locked),
        },
    };
    let (mut counts, mut failed) = summary(rows, &outcomes);
    counts.failed += chunk.failed + i64::try_from(failures.len()).unwrap_or_default();
    failed.extend(failures.iter().chain(&chunk.failures).cloned());
    progress::advance(connection, chunk, counts, &failed, stamp.now)?;
    let end = outcomes.iter().any(|outcome| outcome.user().is_some()).then_some(end);
    Ok(Written::Stored { counts, outcomes, end })
}

/// What has become of a row.
enum RowOutcome {
    Created(User),
    Updated(User),
    Skipped,
    /// Another user has the address, or one that earlier releases take for the same, or the external id.
    Refused(Error),
}

impl RowOutcome {
    fn user(&self) -> Option<&User> {
        match self {
            Self::Created(user) | Self::Updated(user) => Some(user),
            Self::Skipped | Self::Refused(_) => None,
        }
    }

    fn of_update(updated: Result<User, Error>) -> Self {
        updated.map_or_else(Self::Refused, Self::Updated)
    }
}

/// Counts the rows, and says which of them have failed.
fn summary(rows: &[&Row], outcomes: &[RowOutcome]) -> (ImportCounts, Vec<ImportFailure>) {
    let (mut counts, mut failures) = (ImportCounts::default(), Vec::new());
    for (row, outcome) in rows.iter().zip(outcomes) {
        match outcome {
            RowOutcome::Created(_) => counts.created += 1,
            RowOutcome::Updated(_) => counts.updated += 1,
            RowOutcome::Skipped => counts.skipped += 1,
            RowOutcome::Refused(error) => {
                counts.failed += 1;
                let field = match error {
                    Error::ExternalIdTaken => FieldError::new("external_id", "another user has this external id"),
                    _ => FieldError::new("email", "another user has this email"),
                };
                failures.push(failure(row.line, error, &field));
            }
        }
    }
    (counts, failures)
}

fn failure(line: i64, error: &Error, field: &FieldError) -> ImportFailure {
    let pointer = field.field.is_some().then(|| field.pointer());
    ImportFailure { line, code: error.code().to_owned(), pointer, detail: field.detail.to_owned() }
}

fn change<'a>((row, outcome): (&&'a Row, &'a RowOutcome)) -> Option<UserChange<'a>> {
    let user = outcome.user()?;
    let is_new = matches!(outcome, RowOutcome::Created(_));
    Some(UserChange::Stored { user, email_key: row.write.new_address().map(EmailKey::legacy), is_new })
}

/// Whether a user has the address of a row. One that earlier releases take for the same may be another person's.
fn has_address(user: &User, create: &Create) -> bool {
    user.email.key().as_str() == create.email_key().as_str()
}

/// Whether a user is as a row says, the email spelled so.
fn is_as_in(user: &User, row: &Row, create: &Create) -> bool {
    let NewUser { name, email, .. } = create.new_user();
    let has_profile = |change: &ProfileChange| change.apply(user.profile.as_deref()).as_ref() == Ok(&user.profile);
    user.name == *name && user.email == *email && row.profile.as_deref().is_none_or(has_profile)
}

/// The update that makes a user as a row says.
fn update_of(id: UserId, row: &Row, create: &Create) -> Update {
    let NewUser { name, email, .. } = create.new_user().clone();
    let changes = Changes { name: Some(name), email: Some(email), profile: row.profile.clone() };
    Update::new(id, None, changes, None, None)
}
