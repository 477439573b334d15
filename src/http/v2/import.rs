use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{self, ImportCounts, ImportId, ImportProgress, OnConflict};
use crate::http::problem::Failure;
use crate::service::ImportError;
use crate::storage::StoredImport;

/// How far an import has come.
#[derive(Serialize, ToSchema)]
pub(super) struct Import {
    #[schema(example = "2026-12-01", min_length = 1, max_length = 100)]
    id: String,
    state: ImportState,
    on_conflict: Conflict,
    /// The line at which the next record begins: where an upload with `from_line` goes on.
    #[schema(example = 1001, minimum = 1)]
    next_line: i64,
    /// How many records are done.
    #[schema(example = 1000, minimum = 0)]
    records: i64,
    #[schema(example = 990, minimum = 0)]
    created: i64,
    #[schema(example = 0, minimum = 0)]
    updated: i64,
    #[schema(example = 8, minimum = 0)]
    skipped: i64,
    #[schema(example = 2, minimum = 0)]
    failed: i64,
    /// What is wrong with the records that have failed: the first 1,000 failures, in the order of the lines.
    failures: Vec<ImportFailure>,
}

/// What has become of an import.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ImportState {
    /// An upload is under way, or was until a few seconds ago.
    Running,
    /// The last upload was cut, or the file has an error. Another one goes on with it.
    Interrupted,
    /// All of the file is imported.
    Completed,
}

/// What becomes of a record whose email another user has.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Conflict {
    /// It has failed.
    Fail,
    /// It is passed over.
    Skip,
    /// The other user gets its name and its spelling of the email. If it has them already, it is passed over.
    Update,
}

/// What is wrong with a record.
#[derive(Serialize, ToSchema)]
struct ImportFailure {
    /// The line at which the record begins. A header counts.
    #[schema(example = 17, minimum = 1)]
    line: i64,
    /// The kind of failure, as a name for programs. It never changes.
    #[schema(example = "email_taken")]
    code: String,
    /// The member or the column that is wrong, as a JSON pointer (RFC 6901).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "/email")]
    pointer: Option<String>,
    /// What is wrong with it, in words for people.
    #[schema(example = "another user has this email")]
    detail: String,
}

impl Import {
    pub(super) fn new(id: &ImportId, stored: StoredImport) -> Self {
        let StoredImport { options, progress, counts, failures, is_held } = stored;
        let ImportProgress { next_line, records, is_complete, .. } = progress;
        let ImportCounts { created, updated, skipped, failed } = counts;
        let state = match (is_complete, is_held) {
            (true, _) => ImportState::Completed,
            (false, true) => ImportState::Running,
            (false, false) => ImportState::Interrupted,
        };
        let on_conflict = match options.on_conflict {
            OnConflict::Fail => Conflict::Fail,
            OnConflict::Skip => Conflict::Skip,
            OnConflict::Update => Conflict::Update,
        };
        let failures = failures.into_iter().map(ImportFailure::from).collect();
        let id = id.as_str().to_owned();
        Self { id, state, on_conflict, next_line, records, created, updated, skipped, failed, failures }
    }
}

impl From<domain::ImportFailure> for ImportFailure {
    fn from(domain::ImportFailure { line, code, pointer, detail }: domain::ImportFailure) -> Self {
        Self { line, code, pointer, detail }
    }
}

pub(super) fn failure_of(error: ImportError) -> Failure {
    match error {
        ImportError::Storage(error) => error.into(),
        ImportError::Conflict(detail) => Failure::ImportConflict { detail, retry_after: None },
        // Until then the upload has ended, or has shown that it lasts.
        ImportError::Held => Failure::ImportConflict { detail: error.to_string(), retry_after: Some("5") },
        ImportError::NotFound => Failure::ImportNotFound,
        ImportError::Broken(broken) => {
            let pointer = broken.fault.pointer.clone();
            Failure::InvalidFile { detail: broken.to_string(), code: broken.fault.code, pointer }
        }
    }
}
