//! The `export` command: all users in a file, read from the database.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use tempfile::{Builder, NamedTempFile};

use crate::output::print_line;
use crate::storage::{self, Settings};
use crate::transfer::{Encoder, Format, form_of};

/// The prefix of the name that the file has until it is whole.
const UNFINISHED: &str = ".user-service-export-";
/// How many bytes are written at once.
const CHUNK: usize = 64 << 10;

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("{0} ends neither in .ndjson nor in .csv, with or without .gz: give --format")]
    Format(PathBuf),
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    #[error(transparent)]
    Export(#[from] storage::ExportError),
}

/// Writes all users into a new file, which only its owner may read, or to stdout if the name is `-`. The format follows
/// from the name unless it is given, and so does compression. Shows a progress bar if stderr is a terminal.
///
/// # Errors
/// When the file exists or cannot be written, and when the database cannot be reached or refuses. Then there is no file.
pub fn export(settings: &Settings, file: &Path, format: Option<Format>, gzip: bool) -> Result<(), ExportError> {
    let (named, is_gz) = form_of(file);
    let gzip = gzip || is_gz;
    if file == Path::new("-") {
        write_users(settings, &mut io::stdout().lock(), format.unwrap_or(Format::Ndjson), gzip)?;
        return Ok(());
    }
    let format = format.or(named).ok_or_else(|| ExportError::Format(file.to_owned()))?;
    let failed = |error| ExportError::File(file.to_owned(), error);
    if file.symlink_metadata().is_ok() {
        return Err(failed(io::ErrorKind::AlreadyExists.into()));
    }
    let began = Instant::now();
    let (folder, mut unfinished) = unfinished(file).map_err(failed)?;
    let users = write_users(settings, unfinished.as_file_mut(), format, gzip)?;
    unfinished.as_file().sync_all().map_err(failed)?;
    unfinished.persist_noclobber(file).map_err(|error| failed(error.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    let seconds = began.elapsed().as_secs_f64();
    print_line(format_args!("exported {users} users in {seconds:.1} s"));
    Ok(())
}

/// A file beside the one that is to be made, and their folder. It must not be mistaken for a whole one, so it gets its name
/// at the end. If this process is killed, it remains.
fn unfinished(file: &Path) -> io::Result<(PathBuf, NamedTempFile)> {
    let absolute = std::path::absolute(file)?;
    let folder = absolute.parent().ok_or(io::ErrorKind::InvalidInput)?;
    Ok((folder.to_owned(), Builder::new().prefix(UNFINISHED).tempfile_in(folder)?))
}

/// Writes all users, and returns how many there are.
fn write_users(
    settings: &Settings,
    out: &mut impl Write,
    format: Format,
    gzip: bool,
) -> Result<u64, storage::ExportError> {
    let bar = progress_bar();
    let mut encoder = Encoder::new(format, gzip)?;
    let mut done = 0;
    let write = |users: Vec<_>| {
        for user in &users {
            encoder.user(user)?;
            if encoder.ready() >= CHUNK {
                out.write_all(&encoder.take())?;
            }
        }
        done += users.len() as u64;
        bar.set_position(done);
        Ok(())
    };
    let exported = storage::export(settings, |count| bar.set_length(count), write);
    bar.finish_and_clear();
    exported?;
    out.write_all(&encoder.finish()?)?;
    out.flush()?;
    Ok(done)
}

/// On stderr: stdout may have the users. Hidden if that is no terminal.
fn progress_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} users, {per_sec}, {eta} left");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
