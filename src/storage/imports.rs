//! Imports of users: they begin, go on chunk by chunk, and are forgotten.

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
    Error, ImportCounts, ImportFailure, ImportOptions, ImportProgress, NewUser, RecordsHash, Timestamp,
};

/// The most imports that are remembered. Beyond it the oldest are pruned.
const MAX_IMPORTS: i64 = 10_000;
/// How many imports one transaction prunes. Each may have a thousand failures.
const PRUNED_AT_ONCE: i64 = 20;

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
#[derive(Debug, Default)]
pub struct NextRecords {
    /// Valid users, each with the line at which its record begins.
    pub users: Vec<(i64, NewUser)>,
    /// What is wrong with the other records, and how many of these there are.
    pub failures: Vec<ImportFailure>,
    pub failed: i64,
}

/// A chunk that may be stored, and stored again if the outcome is unknown.
pub struct PreparedChunk(ImportChunk);

impl PreparedChunk {
    /// Makes the next chunk of an import, which brings it to `progress`.
    #[must_use]
    pub fn new(import: &OpenImport, next: NextRecords, progress: ImportProgress, lease: Duration) -> Self {
        let row = |(line, new)| Row { line, write: Write::Create(Create::new(new, None, None)) };
        Self(ImportChunk(Arc::new(Chunk {
            import: import.id,
            upload: import.upload,
            from_line: import.progress.next_line,
            progress,
            held_until: Timestamp::now().after(lease),
            on_conflict: import.options.on_conflict,
            rows: next.users.into_iter().map(row).collect(),
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
        self.events.change(open).await
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
        self.events.run(get).await
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
        self.events.run(find).await
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
        self.events.change(hold).await
    }

    /// Forgets an import. The users that it has stored stay. `None` if there is no such import, and false if an upload may
    /// be under way.
    pub async fn delete_import(&self, key: Vec<u8>) -> Result<Option<bool>, Error> {
        let delete = move |connection: &mut Connection| {
            connection.write_no_user(|connection| {
                let Some(row) = find(connection, &key)? else { return Ok(None) };
                let is_free = !row.is_held(Timestamp::now());
                if is_free {
                    forget(connection, &[row.id])?;
                }
                Ok(Some(is_free))
            })
        };
        self.events.change(delete).await
    }

    /// Forgets some imports that have not changed since `before`, and of too many the oldest. Returns whether there are
    /// more.
    pub async fn prune_imports(&self, before: Timestamp) -> Result<bool, Error> {
        let prune = move |connection: &mut Connection| {
            let due = due(connection, before)?;
            if !due.is_empty() {
                connection.write_no_user(|connection| forget(connection, &due))?;
            }
            Ok(!due.is_empty())
        };
        self.events.change(prune).await
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
    insert(connection, key, options, now)?;
    let Some(row) = find(connection, key)? else { return Err(diesel::result::Error::NotFound) };
    if row.options() != Some(options) {
        return Ok(Err(Closed::OtherOptions));
    }
    // One that another upload takes at this moment is found by the condition, not by what was read.
    let taken = on_backend!(connection, |connection| {
        let this = imports::table.find(row.id).filter(imports::held_until.le(TimestampColumn(now)));
        let held_until = imports::held_until.eq(TimestampColumn(now.after(lease)));
        diesel::update(this).set((imports::upload.eq(upload), held_until)).execute(connection)
    })?;
    if taken == 0 {
        return Ok(Err(Closed::Held));
    }
    // Its progress may have moved since it was read.
    let progress = find(connection, key)?.map_or_else(|| row.progress(), |row| row.progress());
    Ok(Ok(OpenImport { id: row.id, upload, options, progress }))
}

/// Inserts an import that is about to begin, unless there is one with this key.
fn insert(connection: &mut Connection, key: &[u8], options: ImportOptions, now: Timestamp) -> QueryResult<()> {
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
                imports::is_complete.eq(false),
                imports::upload.eq(0),
                imports::held_until.eq(now),
                imports::changed_at.eq(now),
            ))
            .on_conflict_do_nothing()
            .execute(connection)
            .map(drop)
    })
}

fn find(connection: &mut Connection, key: &[u8]) -> QueryResult<Option<ImportRow>> {
    on_backend!(connection, |connection| {
        imports::table.filter(imports::key.eq(key)).select(ImportRow::as_select()).first(connection).optional()
    })
}

fn forget(connection: &mut Connection, ids: &[i64]) -> QueryResult<()> {
    on_backend!(connection, |connection| {
        diesel::delete(import_failures::table.filter(import_failures::import_id.eq_any(ids))).execute(connection)?;
        diesel::delete(imports::table.filter(imports::id.eq_any(ids))).execute(connection).map(drop)
    })
}

/// The imports to prune now.
fn due(connection: &mut Connection, before: Timestamp) -> QueryResult<Vec<i64>> {
    on_backend!(connection, |connection| {
        let count: i64 = imports::table.count().get_result(connection)?;
        let oldest: Vec<(i64, TimestampColumn)> = imports::table
            .order(imports::changed_at)
            .limit(PRUNED_AT_ONCE)
            .select((imports::id, imports::changed_at))
            .load(connection)?;
        let too_many = usize::try_from(count - MAX_IMPORTS).unwrap_or_default();
        let is_due =
            |(at, (_, TimestampColumn(changed))): &(usize, (i64, TimestampColumn))| *at < too_many || *changed < before;
        Ok(oldest.into_iter().enumerate().take_while(is_due).map(|(_, (id, _))| id).collect())
    })
}
