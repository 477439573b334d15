//! Imports of users: they begin, go on chunk by chunk, and are forgotten.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use diesel::prelude::*;

use super::Storage;
use super::database::connection::{Connection, on_backend};
use super::database::schema::tables::{import_failures, imports};
use super::database::schema::timestamp_column::TimestampColumn;
use super::write::import::{Chunk, ImportChunk, ImportRow, Row, Superseded, code_of, find_failures};
use super::write::request::{Create, Write};
use crate::domain::{
    Error, ImportCounts, ImportFailure, ImportOptions, ImportProgress, NewUser, ProfileChange, RecordsHash, Timestamp,
};

/// The most imports of one caller that are remembered. For another one its oldest are forgotten.
const MAX_OF_ONE_CALLER: i64 = 1_000;
/// How many bytes of a key identify the caller.
const CALLER_BYTES: usize = 32;
/// How many imports one transaction forgets. Each may have a thousand failures.
const FORGOTTEN_AT_ONCE: i64 = 20;

/// An import that an upload may go on with.
#[derive(Clone, Debug)]
pub struct OpenImport {
    id: i64,
    upload: i64,
    options: ImportOptions,
    pub progress: ImportProgress,
}

/// Why an upload may not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The import was begun with other options.
    OtherOptions,
    /// Another upload may still be under way.
    Held,
}

/// An import as it is stored.
#[derive(Clone, Debug)]
pub struct StoredImport {
    pub options: ImportOptions,
    pub progress: ImportProgress,
    pub counts: ImportCounts,
    /// The first thousand, in the order of the lines.
    pub failures: Vec<ImportFailure>,
    /// Whether an upload may be under way.
    pub is_held: bool,
}

/// The next records of an import, which become a chunk.
#[derive(Default)]
pub struct NextRecords {
    rows: Vec<Row>,
    /// All keys of the addresses of the rows.
    addresses: HashSet<String>,
    /// What is wrong with the other records, and how many of these there are.
    pub failures: Vec<ImportFailure>,
    pub failed: i64,
}

/// A record that is a valid user.
pub struct ImportRecord(Row);

impl ImportRecord {
    /// `line` is where it begins, and `profile` what it changes of the profile if there is such a user.
    #[must_use]
    pub fn new(line: i64, user: NewUser, profile: Option<Box<ProfileChange>>) -> Self {
        Self(Row { line, write: Write::Create(Create::new(user, None, None)), profile })
    }

    fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.write.new_address().into_iter().flat_map(|key| [Some(key.legacy()), key.address_key()]).flatten()
    }
}

impl NextRecords {
    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len() + self.failures.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether an earlier record has the same address. Then this one belongs in another chunk: within one, no two
    /// records may be about the same user.
    #[must_use]
    pub fn have_address_of(&self, record: &ImportRecord) -> bool {
        record.keys().any(|key| self.addresses.contains(key))
    }

    /// Adds a record.
    pub fn push(&mut self, record: ImportRecord) {
        self.addresses.extend(record.keys().map(str::to_owned));
        self.rows.push(record.0);
    }
}

/// A chunk that may be stored, and stored again if the outcome is unknown.
pub struct PreparedChunk(ImportChunk);

impl PreparedChunk {
    /// Makes the next chunk of an import, which brings it to `progress`.
    #[must_use]
    pub fn new(import: &OpenImport, next: NextRecords, progress: ImportProgress, lease: Duration) -> Self {
        Self(ImportChunk(Arc::new(Chunk {
            import: import.id,
            upload: import.upload,
            from_line: import.progress.next_line,
            progress,
            lease,
            on_conflict: import.options.on_conflict,
            rows: next.rows,
            failures: next.failures,
            failed: next.failed,
        })))
    }
}

#[expect(clippy::missing_errors_doc, reason = "`Storage` documents the errors that all methods share")]
impl Storage {
    /// Begins an import, or goes on with it. `key` identifies the import and its caller. No other upload may begin for the
    /// time of `lease`.
    pub async fn open_import(
        &self,
        key: Vec<u8>,
        options: ImportOptions,
        lease: Duration,
    ) -> Result<Result<OpenImport, Closed>, Error> {
        let upload = uuid::Uuid::new_v4().as_u64_pair().0.cast_signed();
        let open = move |connection: &mut Connection| {
            connection.write_no_user(|connection| open(connection, &key, options, upload, lease))
        };
        self.calls.change(open).await
    }

    /// The import with this key.
    pub async fn get_import(&self, key: Vec<u8>) -> Result<Option<StoredImport>, Error> {
        let get = move |connection: &mut Connection| {
            let Some(row) = find(connection, &key)? else { return Ok(None) };
            let failures = find_failures(connection, row.id)?;
            Ok(row.options().map(|options| StoredImport {
                options,
                progress: row.progress(),
                counts: row.counts(),
                failures,
                is_held: row.is_held(Timestamp::now()),
            }))
        };
        self.calls.run(get).await
    }

    /// Stores a chunk. After [`Error::OutcomeUnknown`] it may be stored again: if it was stored already it is
    /// [`Superseded`], and the progress of the import shows it.
    pub async fn store_chunk(
        &self,
        PreparedChunk(chunk): &PreparedChunk,
    ) -> Result<Result<ImportCounts, Superseded>, Error> {
        self.imports.ask(chunk.clone()).await
    }

    /// Whether writes of others wait, so that an import should leave them more room.
    #[must_use]
    pub fn has_waiting_writes(&self) -> bool {
        self.writes.has_waiting()
    }

    /// Where an import stands, if this upload may still go on with it.
    pub async fn find_progress(&self, import: &OpenImport) -> Result<Option<ImportProgress>, Error> {
        let OpenImport { id, upload, .. } = *import;
        let find = move |connection: &mut Connection| {
            let row: Option<ImportRow> = on_backend!(connection, |connection| {
                let this = imports::table.find(id).filter(imports::upload.eq(upload));
                this.select(ImportRow::as_select()).first(connection).optional()
            })?;
            Ok(row.map(|row| row.progress()))
        };
        self.calls.run(find).await
    }

    /// Holds an import for this upload for as long, or with no time lets others go on.
    pub async fn hold_import(&self, import: &OpenImport, lease: Duration) -> Result<(), Error> {
        let OpenImport { id, upload, .. } = *import;
        let hold = move |connection: &mut Connection| {
            connection.write_no_user(|connection| {
                on_backend!(connection, |connection| {
                    let this = imports::table.find(id).filter(imports::upload.eq(upload));
                    let until = imports::held_until.eq(TimestampColumn(Timestamp::now().after(lease)));
                    diesel::update(this).set(until).execute(connection).map(drop)
                })
            })
        };
        self.calls.change(hold).await
    }

    /// Forgets an import. The users that it has stored stay. `None` if there is no such import, and false if an upload may
    /// be under way.
    pub async fn delete_import(&self, key: Vec<u8>) -> Result<Option<bool>, Error> {
        let delete = move |connection: &mut Connection| {
            connection.write_no_user(|connection| {
                let Some(row) = find(connection, &key)? else { return Ok(None) };
                Ok(Some(forget(connection, &[row.id], Timestamp::now())? > 0))
            })
        };
        self.calls.change(delete).await
    }

    /// Forgets some imports that have not changed since `before`. Returns whether there may be more.
    pub async fn prune_imports(&self, before: Timestamp) -> Result<bool, Error> {
        let prune = move |connection: &mut Connection| {
            let due = due(connection, before)?;
            if due.is_empty() {
                return Ok(false);
            }
            connection.write_no_user(|connection| forget(connection, &due, Timestamp::now())).map(|count| count > 0)
        };
        self.calls.change(prune).await
    }
}

fn open(
    connection: &mut Connection,
    key: &[u8],
    options: ImportOptions,
    upload: i64,
    lease: Duration,
) -> QueryResult<Result<OpenImport, Closed>> {
    let now = Timestamp::now();
    if insert(connection, key, options, now)? {
        forget_excess(connection, key, now)?;
    }
    let Some(row) = find(connection, key)? else { return Err(diesel::result::Error::NotFound) };
    if row.options() != Some(options) {
        return Ok(Err(Closed::OtherOptions));
    }
    // One that another upload takes at this moment is found by the condition, not by what was read.
    let taken = on_backend!(connection, |connection| {
        let this = imports::table.find(row.id).filter(imports::held_until.le(TimestampColumn(now)));
        let held_until = imports::held_until.eq(TimestampColumn(now.after(lease)));
        let changed_at = imports::changed_at.eq(TimestampColumn(now));
        diesel::update(this).set((imports::upload.eq(upload), held_until, changed_at)).execute(connection)
    })?;
    if taken == 0 {
        return Ok(Err(Closed::Held));
    }
    // Its progress may have moved since it was read.
    let progress = find(connection, key)?.map_or_else(|| row.progress(), |row| row.progress());
    Ok(Ok(OpenImport { id: row.id, upload, options, progress }))
}

/// Inserts an import that is about to begin, unless there is one with this key. Returns whether there was none.
fn insert(connection: &mut Connection, key: &[u8], options: ImportOptions, now: Timestamp) -> QueryResult<bool> {
    let now = TimestampColumn(now);
    on_backend!(connection, |connection| {
        diesel::insert_into(imports::table)
            .values((
                imports::key.eq(key),
                imports::format.eq(options.format),
                imports::on_conflict.eq(code_of(options.on_conflict)),
                imports::next_line.eq(1),
                imports::records.eq(0),
                imports::hash.eq(RecordsHash::default().as_bytes().as_slice()),
                (imports::created.eq(0), imports::updated.eq(0), imports::skipped.eq(0), imports::failed.eq(0)),
                (imports::must_end.eq(false), imports::is_complete.eq(false)),
                imports::upload.eq(0),
                imports::held_until.eq(now),
                imports::changed_at.eq(now),
            ))
            .on_conflict_do_nothing()
            .execute(connection)
            .map(|inserted| inserted > 0)
    })
}

fn find(connection: &mut Connection, key: &[u8]) -> QueryResult<Option<ImportRow>> {
    on_backend!(connection, |connection| {
        imports::table.filter(imports::key.eq(key)).select(ImportRow::as_select()).first(connection).optional()
    })
}

/// Forgets those of these imports that no upload holds, and returns how many.
fn forget(connection: &mut Connection, ids: &[i64], now: Timestamp) -> QueryResult<usize> {
    on_backend!(connection, |connection| {
        let free = imports::table.filter(imports::id.eq_any(ids).and(imports::held_until.le(TimestampColumn(now))));
        let gone: Vec<i64> = diesel::delete(free).returning(imports::id).get_results(connection)?;
        let failures = import_failures::table.filter(import_failures::import_id.eq_any(&gone));
        diesel::delete(failures).execute(connection)?;
        Ok(gone.len())
    })
}

/// Forgets the oldest imports of a caller that has too many.
fn forget_excess(connection: &mut Connection, key: &[u8], now: Timestamp) -> QueryResult<()> {
    let caller = key.get(..CALLER_BYTES).unwrap_or(key);
    // Behind the caller stands a name, in ASCII.
    let end = [caller, &[u8::MAX]].concat();
    let excess: Vec<i64> = on_backend!(connection, |connection| {
        let of_caller = imports::table.filter(imports::key.ge(caller).and(imports::key.lt(&end)));
        let newest_first =
            of_caller.order(imports::changed_at.desc()).offset(MAX_OF_ONE_CALLER).limit(FORGOTTEN_AT_ONCE);
        newest_first.select(imports::id).load(connection)
    })?;
    forget(connection, &excess, now).map(drop)
}

/// Imports to forget now: some of those that have not changed since `before`.
fn due(connection: &mut Connection, before: Timestamp) -> QueryResult<Vec<i64>> {
    on_backend!(connection, |connection| {
        let old = imports::table.filter(imports::changed_at.lt(TimestampColumn(before)));
        old.order(imports::changed_at).limit(FORGOTTEN_AT_ONCE).select(imports::id).load(connection)
    })
}
