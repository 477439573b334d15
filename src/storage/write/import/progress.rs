//! How far an import has come, as it is stored.

use diesel::prelude::*;

use super::Chunk;
use crate::domain::{ImportCounts, ImportFailure, ImportOptions, ImportProgress, OnConflict, RecordsHash, Timestamp};
use crate::storage::database::connection::{Connection, on_backend};
use crate::storage::database::schema::tables::{import_failures, imports};
use crate::storage::database::schema::timestamp_column::TimestampColumn;

/// The most failures of an import that are stored.
const MAX_FAILURES: i64 = 1_000;

/// An import, as it is stored.
#[derive(Queryable, Selectable)]
#[diesel(table_name = imports)]
pub(crate) struct ImportRow {
    pub(crate) id: i64,
    format: i16,
    on_conflict: i16,
    next_line: i64,
    records: i64,
    hash: Vec<u8>,
    created: i64,
    updated: i64,
    skipped: i64,
    failed: i64,
    must_end: bool,
    is_complete: bool,
    held_until: TimestampColumn,
}

impl ImportRow {
    /// `None` if the row was not written by a service that this one knows.
    pub(crate) fn options(&self) -> Option<ImportOptions> {
        let on_conflict = match self.on_conflict {
            1 => OnConflict::Fail,
            2 => OnConflict::Skip,
            3 => OnConflict::Update,
            _ => return None,
        };
        Some(ImportOptions { format: self.format, on_conflict })
    }

    pub(crate) fn progress(&self) -> ImportProgress {
        let Self { next_line, records, must_end, is_complete, .. } = *self;
        let hash = RecordsHash::stored(&self.hash).unwrap_or_default();
        ImportProgress { next_line, records, hash, must_end, is_complete }
    }

    pub(crate) const fn counts(&self) -> ImportCounts {
        let Self { created, updated, skipped, failed, .. } = *self;
        ImportCounts { created, updated, skipped, failed }
    }

    /// Whether an upload may still be under way.
    pub(crate) fn is_held(&self, now: Timestamp) -> bool {
        self.held_until.0 > now
    }
}

/// The number that stands for this in the database.
pub(crate) const fn code_of(on_conflict: OnConflict) -> i16 {
    match on_conflict {
        OnConflict::Fail => 1,
        OnConflict::Skip => 2,
        OnConflict::Update => 3,
    }
}

/// The failures of an import that are stored, in the order of its lines.
pub(crate) fn find_failures(connection: &mut Connection, import: i64) -> QueryResult<Vec<ImportFailure>> {
    type Columns = (i64, String, Option<String>, String);
    let found: Vec<Columns> = on_backend!(connection, |connection| {
        let these = import_failures::table.filter(import_failures::import_id.eq(import)).order(import_failures::id);
        let columns = (import_failures::line, import_failures::code, import_failures::pointer, import_failures::detail);
        these.select(columns).limit(MAX_FAILURES).load(connection)
    })?;
    let failure = |(line, code, pointer, detail)| ImportFailure { line, code, pointer, detail };
    Ok(found.into_iter().map(failure).collect())
}

/// Whether the import still stands where the chunk begins, and belongs to its upload. On PostgreSQL it stays so until the
/// transaction ends; on SQLite nobody else writes meanwhile.
pub(super) fn is_current(connection: &mut Connection, chunk: &Chunk) -> QueryResult<bool> {
    let this = imports::table.find(chunk.import).select((imports::upload, imports::next_line));
    let found: Option<(i64, i64)> = match connection {
        Connection::Sqlite(sqlite, _) => this.first(sqlite).optional()?,
        Connection::Postgres(postgres, _) => this.for_update().first(postgres).optional()?,
    };
    Ok(found == Some((chunk.upload, chunk.from_line)))
}

/// Stores how far the import has come with a chunk. `failures` are all that it has.
pub(super) fn advance(
    connection: &mut Connection,
    chunk: &Chunk,
    ImportCounts { created, updated, skipped, failed }: ImportCounts,
    failures: &[ImportFailure],
    now: Timestamp,
) -> QueryResult<()> {
    let mut failures = Vec::from_iter(failures.iter().map(|failure| FailureRow::new(chunk.import, failure)));
    failures.sort_by_key(|failure| failure.line);
    let ImportProgress { next_line, records, hash, must_end, is_complete } = chunk.progress;
    on_backend!(connection, |connection| {
        if !failures.is_empty() {
            let these = import_failures::table.filter(import_failures::import_id.eq(chunk.import));
            let count: i64 = these.count().get_result(connection)?;
            failures.truncate(usize::try_from(MAX_FAILURES.saturating_sub(count)).unwrap_or_default());
            diesel::insert_into(import_failures::table).values(&failures).execute(connection)?;
        }
        let changes = (
            imports::next_line.eq(next_line),
            imports::records.eq(records),
            imports::hash.eq(hash.as_bytes().as_slice()),
            imports::created.eq(imports::created + created),
            imports::updated.eq(imports::updated + updated),
            imports::skipped.eq(imports::skipped + skipped),
            imports::failed.eq(imports::failed + failed),
            imports::must_end.eq(must_end),
            imports::is_complete.eq(is_complete),
            imports::held_until.eq(TimestampColumn(now.after(chunk.lease))),
            imports::changed_at.eq(TimestampColumn(now)),
        );
        diesel::update(imports::table.find(chunk.import)).set(changes).execute(connection).map(drop)
    })
}

#[derive(Insertable)]
#[diesel(table_name = import_failures)]
struct FailureRow<'a> {
    import_id: i64,
    line: i64,
    code: &'a str,
    pointer: Option<&'a str>,
    detail: &'a str,
}

impl<'a> FailureRow<'a> {
    fn new(import_id: i64, ImportFailure { line, code, pointer, detail }: &'a ImportFailure) -> Self {
        Self { import_id, line: *line, code, pointer: pointer.as_deref(), detail }
    }
}
