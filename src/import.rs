//! The `import` command: users from a file, stored in the database.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use flate2::read::MultiGzDecoder;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::sleep;

use crate::domain::{ImportFailure, ImportId, OnConflict};
use crate::metrics::Metrics;
use crate::output::{print_error, print_line};
use crate::service::{self, Import, ImportError, ImportSettings, Imports};
use crate::storage::{self, MigrateError, Readiness, Settings, Storage, StoredImport};
use crate::transfer::{Format, form_of};

/// How many bytes are read at once.
const CHUNK: usize = 64 << 10;
/// How long the command waits for the database, and for an import that was killed to be free again.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause before a held import is tried again.
const HELD_PAUSE: Duration = Duration::from_millis(500);
/// How long the last call to the database may take.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// Imports of the command are those of this caller, which no token has.
const COMMAND: [u8; 32] = [0; 32];

/// Why not all users of a file were imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportFileError {
    #[error("{0} ends neither in .ndjson nor in .csv, with or without .gz: give --format")]
    Format(PathBuf),
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    #[error("cannot start: {0}")]
    Start(String),
    #[error("the database is not ready: {0}")]
    NotReady(&'static str),
    #[error(transparent)]
    Import(#[from] ImportError),
    #[error("{0} records have failed")]
    Failed(i64),
}

/// What the command is asked for.
pub struct ImportFile {
    /// `-` is stdin.
    pub file: PathBuf,
    /// Follows from the name of the file unless it is given.
    pub format: Option<Format>,
    pub on_conflict: OnConflict,
    /// Forget first how far an import of a file with this name has come.
    pub restart: bool,
}

/// Migrates, and imports all users of a file, compressed or not. Shows a progress bar if stderr is a terminal.
///
/// If the process is killed, the same command goes on where it was.
///
/// # Errors
/// When the file cannot be read, when the database cannot be reached or refuses, and when records have failed.
pub fn import(settings: &Settings, asked: &ImportFile) -> Result<(), ImportFileError> {
    storage::migrate(settings)?;
    let began = Instant::now();
    let stored = actix_rt::System::new().block_on(import_file(settings, asked))?;
    let seconds = began.elapsed().as_secs_f64();
    let counts = stored.counts;
    print_line(format_args!(
        "imported {} records in {seconds:.1} s: {} created, {} updated, {} skipped, {} failed",
        stored.progress.records, counts.created, counts.updated, counts.skipped, counts.failed
    ));
    for ImportFailure { line, code, pointer, detail } in &stored.failures {
        print_error(format_args!("line {line}: {} {detail} ({code})", pointer.as_deref().unwrap_or("the record")));
    }
    if counts.failed > 0 { Err(ImportFileError::Failed(counts.failed)) } else { Ok(()) }
}

async fn import_file(settings: &Settings, asked: &ImportFile) -> Result<StoredImport, ImportFileError> {
    let ImportFile { file, format, on_conflict, restart } = asked;
    let (named, _) = form_of(file);
    let format = match format.or(named) {
        Some(format) => format,
        None if file == Path::new("-") => Format::Ndjson,
        None => return Err(ImportFileError::Format(file.clone())),
    };
    let failed = |error| ImportFileError::File(file.clone(), error);
    let bar = progress_bar();
    let mut input = open(file, &bar).map_err(failed)?;
    let metrics = Metrics::new(settings.url.kind()).map_err(|error| ImportFileError::Start(error.to_string()))?;
    let (storage, running) =
        Storage::start(settings, &metrics).map_err(|error| ImportFileError::Start(error.to_string()))?;
    wait_until_ready(&storage).await?;
    let id = import_id(file);
    if *restart {
        forget(&storage, &id).await?;
    }
    let settings = ImportSettings { format, on_conflict: *on_conflict, from_line: None };
    let mut import = begin(&storage, &id, settings, &Imports::new(metrics.imports())).await?;
    let fed = feed(&mut import, &mut input).await;
    let stored = match fed {
        Ok(()) => import.finish().await?,
        Err(Fed::File(error)) => {
            import.abandon().await;
            return Err(failed(error));
        }
        Err(Fed::Import(error)) => {
            import.abandon().await;
            return Err(error.into());
        }
    };
    bar.finish_and_clear();
    // It is done: the same command may be meant to do it again.
    service::delete_import(&storage, &COMMAND, &id).await?;
    if !running.stop(STOP_TIMEOUT) {
        print_error("a call to the database did not end");
    }
    Ok(stored)
}

/// Why feeding the file has stopped.
enum Fed {
    File(io::Error),
    Import(ImportError),
}

async fn feed(import: &mut Import, input: &mut impl Read) -> Result<(), Fed> {
    let mut bytes = vec![0; CHUNK];
    loop {
        // It blocks, but nothing else runs here.
        let read = input.read(&mut bytes).map_err(Fed::File)?;
        let piece = bytes.get(..read).unwrap_or_default();
        if piece.is_empty() {
            return Ok(());
        }
        import.feed(piece).await.map_err(Fed::Import)?;
    }
}

/// Begins the import, as soon as one that was killed does not hold it any more.
async fn begin(
    storage: &Storage,
    id: &ImportId,
    settings: ImportSettings,
    imports: &Imports,
) -> Result<Import, ImportFileError> {
    let give_up_at = Instant::now() + PATIENCE;
    loop {
        let permit = imports.admit().map_err(ImportError::from)?;
        match service::begin_import(storage, &COMMAND, id, settings, permit).await {
            Err(ImportError::Held) if Instant::now() < give_up_at => sleep(HELD_PAUSE).await,
            begun => return Ok(begun?),
        }
    }
}

/// Forgets an import, as soon as one that was killed does not hold it any more.
async fn forget(storage: &Storage, id: &ImportId) -> Result<(), ImportFileError> {
    let give_up_at = Instant::now() + PATIENCE;
    loop {
        match service::delete_import(storage, &COMMAND, id).await {
            Ok(()) | Err(ImportError::NotFound) => return Ok(()),
            Err(ImportError::Held) if Instant::now() < give_up_at => sleep(HELD_PAUSE).await,
            Err(error) => return Err(error.into()),
        }
    }
}

async fn wait_until_ready(storage: &Storage) -> Result<(), ImportFileError> {
    let give_up_at = Instant::now() + PATIENCE;
    loop {
        match storage.readiness() {
            Readiness::Ready => return Ok(()),
            Readiness::Failing(check) if Instant::now() >= give_up_at => {
                return Err(ImportFileError::NotReady(check.word()));
            }
            Readiness::Failing(_) => sleep(Duration::from_millis(20)).await,
        }
    }
}

/// The import's name: that of the file, so that the same command goes on with it.
fn import_id(file: &Path) -> ImportId {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let known = |char: char| if char.is_ascii_alphanumeric() || matches!(char, '.' | '_') { char } else { '-' };
    let name: String = name.chars().map(known).take(100).collect();
    ImportId::parse(&name).unwrap_or(ImportId::DEFAULT)
}

fn open(file: &Path, bar: &ProgressBar) -> io::Result<Box<dyn Read>> {
    let (_, is_gz) = form_of(file);
    let input: Box<dyn Read> = if file == Path::new("-") {
        Box::new(bar.wrap_read(io::stdin()))
    } else {
        let file = File::open(file)?;
        bar.set_length(file.metadata()?.len());
        Box::new(bar.wrap_read(file))
    };
    Ok(if is_gz { Box::new(MultiGzDecoder::new(input)) } else { input })
}

/// Of bytes, on stderr. Hidden if that is no terminal.
fn progress_bar() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_names_the_import() {
        let id = |name: &str| import_id(Path::new(name)).as_str().to_owned();
        assert_eq!(id("a/users of today.csv.gz"), "users-of-today.csv.gz");
        assert_eq!(id("-"), "-");
        assert_eq!(id("/"), "import");
    }
}
