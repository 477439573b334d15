//! The use cases of importing users.
//!
//! An upload is read record by record, and stored chunk by chunk: one is stored while the next one is read. The chunk's
//! transaction also stores how far the import has come, so an upload that was cut, or a process that was killed, is
//! followed by one that goes on exactly there. A repetition from the start is read and compared by its hash up to there.

use std::time::Duration;

use tokio::task::{JoinHandle, yield_now};
use tokio::time::{Instant, sleep};

use super::imports::ImportPermit;
use crate::domain::{
    Error, ImportCounts, ImportFailure, ImportId, ImportOptions, ImportProgress, NewUser, OnConflict, ProfileChange,
    RecordsHash,
};
use crate::metrics::ImportedRecords;
use crate::storage::{Closed, ImportRecord, NextRecords, OpenImport, PreparedChunk, Storage, StoredImport};
use crate::telemetry::{Context, use_case};
use crate::transfer::{Broken, Content, Ending, Fault, Finished, Format, Reader, Record};

/// Records of a chunk. More would hold up other writers of SQLite for longer.
const CHUNK: usize = 1_000;
/// The bytes of its records after which a chunk is stored.
const CHUNK_BYTES: usize = 512 << 10;
/// Records after which other requests of the thread get their turn.
const RECORDS_AT_ONCE: i64 = 50;
/// How long an upload holds its import after a sign of life. After a crash nobody can go on for as long.
const LEASE: Duration = Duration::from_secs(5);
/// How long a chunk is tried again when the database does not answer.
const RETRY_FOR: Duration = Duration::from_secs(10);
/// The pause before that.
const PAUSE: Duration = Duration::from_millis(200);

/// Why an import does not go on.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error(transparent)]
    Storage(#[from] Error),
    /// The upload does not belong to what was stored, or is not the only one.
    #[error("{0}")]
    Conflict(String),
    /// Another upload may be under way.
    #[error("another upload is under way, or was until a few seconds ago")]
    Held,
    /// There is no such import.
    #[error("there is no import with this id")]
    NotFound,
    /// The file as a whole cannot be read. What comes before is stored.
    #[error(transparent)]
    Broken(#[from] Broken),
}

impl ImportError {
    fn conflict(reason: &str) -> Self {
        Self::Conflict(reason.to_owned())
    }

    fn differs() -> Self {
        Self::conflict("the file differs from what was imported before")
    }

    fn taken_over() -> Self {
        Self::conflict("another upload has taken over, or the import was deleted")
    }
}

/// How an import is to be made.
#[derive(Clone, Copy, Debug)]
pub struct ImportSettings {
    pub format: Format,
    pub on_conflict: OnConflict,
    /// The line at which the upload begins; otherwise it is the whole file.
    pub from_line: Option<u64>,
}

/// An import that is being uploaded.
pub struct Import {
    storage: Storage,
    key: Vec<u8>,
    permit: ImportPermit,
    /// With the progress that is stored, or is about to be.
    open: OpenImport,
    reader: Reader,
    /// Where the reader stands.
    read: ImportProgress,
    /// Whether the upload has reached what is not stored yet.
    is_new: bool,
    next: NextRecords,
    next_bytes: usize,
    storing: Option<JoinHandle<Result<(), ImportError>>>,
}

/// Begins an import, or goes on with it. `caller` identifies the caller at every replica: each has its own imports.
///
/// # Errors
/// [`ImportError::Conflict`], [`ImportError::Held`], or the storage's errors.
pub async fn begin_import(
    storage: &Storage,
    caller: &[u8; 32],
    id: &ImportId,
    settings: ImportSettings,
    permit: ImportPermit,
) -> Result<Import, ImportError> {
    let begin = async {
        let ImportSettings { format, on_conflict, from_line } = settings;
        let (key, options) = (key(caller, id), ImportOptions { format: code_of(format), on_conflict });
        let open = match storage.open_import(key.clone(), options, LEASE).await? {
            Ok(open) => open,
            Err(Closed::OtherOptions) => {
                return Err(ImportError::conflict(
                    "the import was begun in another format, or with another on_conflict",
                ));
            }
            Err(Closed::Held) => return Err(ImportError::Held),
        };
        let stored = open.progress;
        let next_line = u64::try_from(stored.next_line).unwrap_or(1);
        let (reader, read) = match from_line {
            None | Some(1) => (Reader::new(format), BEGINNING),
            Some(line) if line == next_line => {
                let records = u64::try_from(stored.records).unwrap_or_default();
                (Reader::of_rest(format, line, records, stored.must_end), stored)
            }
            Some(_) => {
                storage.hold_import(&open, Duration::ZERO).await?;
                return Err(ImportError::Conflict(format!("the next line is {next_line}")));
            }
        };
        let (storage, next) = (storage.clone(), NextRecords::default());
        let mut import =
            Import { storage, key, permit, open, reader, read, is_new: false, next, next_bytes: 0, storing: None };
        import.compare()?;
        Ok(import)
    };
    use_case("begin_import", begin).await
}

const BEGINNING: ImportProgress =
    ImportProgress { next_line: 1, records: 0, hash: RecordsHash::EMPTY, must_end: false, is_complete: false };

impl Import {
    /// Takes in the next bytes of the file, and stores what is complete. Waits while the database is slower. Returns
    /// whether a record has come to its end.
    ///
    /// # Errors
    /// [`ImportError`]; the rest of the file is of no use then.
    pub async fn feed(&mut self, mut bytes: &[u8]) -> Result<bool, ImportError> {
        let mut has_advanced = false;
        while let Some(record) = self.reader.next(&mut bytes) {
            has_advanced = true;
            let begun = Begun {
                next_line: line_number(self.reader.line()),
                must_end: self.reader.must_end(),
                columns: (self.read == BEGINNING).then(|| self.reader.columns()),
            };
            self.take(record, begun).await?;
        }
        if self.reader.is_broken() {
            self.end().await?;
        }
        Ok(has_advanced)
    }

    /// Ends the import with the file, and returns what is stored of it.
    ///
    /// # Errors
    /// [`ImportError`]. What comes before the error is stored.
    pub async fn finish(mut self) -> Result<StoredImport, ImportError> {
        let finished = self.end().await;
        self.release().await;
        finished?;
        self.storage.get_import(self.key).await?.ok_or(ImportError::NotFound)
    }

    /// Leaves the import as it is stored by now. Another upload may go on with it.
    pub async fn abandon(mut self) {
        // The upload has failed already, and says why.
        let _ = self.stored().await;
        self.release().await;
    }

    /// Shows that the upload still lasts, although nothing comes.
    ///
    /// # Errors
    /// The storage's errors.
    pub async fn hold(&self) -> Result<(), Error> {
        self.storage.hold_import(&self.open, LEASE).await
    }

    /// How often an upload has to show that it lasts.
    pub const HOLD_EVERY: Duration = Duration::from_secs(2);

    async fn take(&mut self, record: Record, begun: Begun) -> Result<(), ImportError> {
        let Record { line, raw, content } = record;
        if self.is_new && self.open.progress.is_complete {
            return Err(ImportError::differs());
        }
        let before = self.read;
        if let Some(columns) = begun.columns {
            self.read.hash = self.read.hash.with(&columns);
        }
        self.read.next_line = begun.next_line;
        self.read.must_end = begun.must_end;
        self.read.hash = self.read.hash.with(&raw);
        self.read.records += i64::from(!matches!(content, Ok(Content::End { .. })));
        if self.read.records % RECORDS_AT_ONCE == 0 {
            yield_now().await;
        }
        if !self.is_new {
            return self.compare();
        }
        self.next_bytes += raw.len();
        match content {
            Ok(Content::User { name, email, profile }) => {
                let profile = profile.held_to(self.storage.attributes_schema().as_ref());
                match NewUser::parse(name, email, profile.clone()) {
                    Ok(user) => {
                        // It is valid, as the user is.
                        let change = ProfileChange::parse(profile).ok().flatten();
                        self.add(ImportRecord::new(line_number(line), user, change), before).await?;
                    }
                    Err(error) => self.fail(of_user(line, &error)),
                }
            }
            Ok(Content::End { .. }) => {}
            Err(fault) => self.fail([of_fault(line, &fault)]),
        }
        if self.next.len() >= CHUNK || self.next_bytes >= CHUNK_BYTES {
            self.store(self.read).await?;
        }
        Ok(())
    }

    /// Adds a user to the next chunk. One whose address is in it already belongs in another one; `before` is where the import
    /// stands before this record.
    async fn add(&mut self, record: ImportRecord, before: ImportProgress) -> Result<(), ImportError> {
        if self.next.have_address_of(&record) {
            self.store(before).await?;
        }
        self.next.push(record);
        Ok(())
    }

    fn fail(&mut self, failures: impl IntoIterator<Item = ImportFailure>) {
        self.next.failures.extend(failures);
        self.next.failed += 1;
    }

    /// Compares what was read with what is stored, once it reaches as far.
    fn compare(&mut self) -> Result<(), ImportError> {
        let (read, stored) = (&mut self.read, self.open.progress);
        if read.next_line < stored.next_line {
            return Ok(());
        }
        read.is_complete = stored.is_complete;
        if *read != stored {
            return Err(ImportError::differs());
        }
        self.is_new = true;
        Ok(())
    }

    /// Reads the end of the file, and stores what is left.
    async fn end(&mut self) -> Result<(), ImportError> {
        let reader = std::mem::replace(&mut self.reader, Reader::new(Format::Ndjson));
        let next_line = line_number(reader.line()).saturating_add(1);
        let columns = (self.read == BEGINNING).then(|| reader.columns());
        let Finished { last, must_end, ending } = reader.finish();
        if let Some(last) = last {
            self.take(last, Begun { next_line, must_end, columns }).await?;
        }
        match ending {
            // Shorter than what is stored.
            Ok(_) if !self.is_new => return Err(ImportError::differs()),
            Ok(Ending::Marked | Ending::Unmarked) if !self.open.progress.is_complete => {
                self.read.is_complete = true;
                self.store(self.read).await?;
            }
            Ok(_) => {}
            Err(broken) => {
                if self.is_new && !self.open.progress.is_complete {
                    self.store(self.read).await?;
                }
                self.stored().await?;
                return Err(broken.into());
            }
        }
        self.stored().await
    }

    /// Begins to store the next chunk, when the one before is stored. It brings the import to `progress`.
    async fn store(&mut self, progress: ImportProgress) -> Result<(), ImportError> {
        self.stored().await?;
        self.next_bytes = 0;
        let next = std::mem::take(&mut self.next);
        let chunk = PreparedChunk::new(&self.open, next, progress, LEASE);
        self.open.progress = progress;
        let store = store(self.storage.clone(), self.open.clone(), chunk, self.permit.metrics.records.clone());
        self.storing = Some(match Context::current() {
            Some(context) => tokio::spawn(context.scope(store)),
            None => tokio::spawn(store),
        });
        Ok(())
    }

    /// Waits until the chunk is stored that is on its way.
    async fn stored(&mut self) -> Result<(), ImportError> {
        match self.storing.take() {
            None => Ok(()),
            Some(storing) => storing.await.unwrap_or(Err(Error::Internal.into())),
        }
    }

    async fn release(&self) {
        // Otherwise it ends by itself, a few seconds later.
        let _ = self.storage.hold_import(&self.open, Duration::ZERO).await;
    }
}

/// What the reader knows when a record has come.
struct Begun {
    next_line: i64,
    must_end: bool,
    /// With the first record: the order of its columns.
    columns: Option<Vec<u8>>,
}

/// Stores a chunk, and tries again if the database does not answer. Leaves room for others if they wait.
async fn store(
    storage: Storage,
    open: OpenImport,
    chunk: PreparedChunk,
    metrics: ImportedRecords,
) -> Result<(), ImportError> {
    let give_up_at = Instant::now() + RETRY_FOR;
    loop {
        let began = Instant::now();
        let error = match storage.store_chunk(&chunk).await {
            Ok(Ok(ImportCounts { created, updated, skipped, failed })) => {
                metrics.stored(created, updated, skipped, failed);
                if storage.has_waiting_writes() {
                    sleep(began.elapsed()).await;
                }
                return Ok(());
            }
            // Perhaps an earlier try has stored it.
            Ok(Err(_)) => match storage.find_progress(&open).await {
                Ok(Some(stored)) if stored == open.progress => return Ok(()),
                Ok(_) => return Err(ImportError::taken_over()),
                Err(error) => error,
            },
            Err(error) => error,
        };
        // The upload lasts, although its chunk does not.
        let _ = storage.hold_import(&open, LEASE).await;
        let is_passing = matches!(error, Error::Overloaded | Error::Unavailable | Error::OutcomeUnknown);
        if !is_passing || Instant::now() >= give_up_at {
            return Err(error.into());
        }
        sleep(PAUSE.mul_f64(0.5 + fastrand::f64())).await;
    }
}

/// Gets an import.
///
/// # Errors
/// [`ImportError::NotFound`], or the storage's errors.
pub async fn get_import(storage: &Storage, caller: &[u8; 32], id: &ImportId) -> Result<StoredImport, ImportError> {
    let get = async { storage.get_import(key(caller, id)).await?.ok_or(ImportError::NotFound) };
    use_case("get_import", get).await
}

/// Forgets an import. The users that it has stored stay.
///
/// # Errors
/// [`ImportError::NotFound`], [`ImportError::Held`], or the storage's errors.
pub async fn delete_import(storage: &Storage, caller: &[u8; 32], id: &ImportId) -> Result<(), ImportError> {
    let delete = async {
        match storage.delete_import(key(caller, id)).await? {
            None => Err(ImportError::NotFound),
            Some(false) => Err(ImportError::Held),
            Some(true) => Ok(()),
        }
    };
    use_case("delete_import", delete).await
}

fn key(caller: &[u8; 32], id: &ImportId) -> Vec<u8> {
    [caller, id.as_str().as_bytes()].concat()
}

/// The number that stands for a format in the database.
const fn code_of(format: Format) -> i16 {
    match format {
        Format::Ndjson => 1,
        Format::Csv => 2,
    }
}

fn line_number(line: u64) -> i64 {
    i64::try_from(line).unwrap_or(i64::MAX)
}

/// What is wrong with a user, part by part.
fn of_user(line: u64, error: &Error) -> Vec<ImportFailure> {
    let failure = |pointer: String, detail: &str| ImportFailure {
        line: line_number(line),
        code: error.code().to_owned(),
        pointer: Some(pointer).filter(|pointer| !pointer.is_empty()),
        detail: detail.to_owned(),
    };
    match error {
        Error::Invalid(fields) => fields.iter().map(|field| failure(field.pointer(), field.detail)).collect(),
        Error::InvalidAttributes(violations) => {
            violations.iter().map(|violation| failure(violation.pointer.clone(), &violation.detail)).collect()
        }
        other => vec![failure(String::new(), &other.to_string())],
    }
}

fn of_fault(line: u64, Fault { code, pointer, detail }: &Fault) -> ImportFailure {
    let (code, detail) = ((*code).to_owned(), (*detail).to_owned());
    ImportFailure { line: line_number(line), code, pointer: pointer.clone(), detail }
}
