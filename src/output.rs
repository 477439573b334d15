//! What commands print, for a person at a terminal or a program in its place. Not `println!`, which panics when the
//! reader has gone.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write as _};

/// Writes a command's result to stdout. A reader that has closed its end has read enough, which is no error.
///
/// # Errors
/// When the result cannot be written, and so is lost.
pub fn print(text: impl Display) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match write!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// Writes a line about a command's progress to stdout. The command does not depend on it, so a failure is only logged.
pub fn print_line(line: impl Display) {
    if let Err(error) = print(format_args!("{line}\n")) {
        log::warn!("cannot write to stdout: {error}");
    }
}

/// Writes a line about a mistake to stderr. A failure is ignored: there is nowhere left to report it.
pub fn print_error(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}
