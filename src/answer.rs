//! What a command tells a person at a terminal, or whatever stands in for one. Not by `println!`, which panics when nobody
//! takes it.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write as _};

/// Writes what was asked for to stdout. A reader that has seen enough is no failure.
///
/// # Errors
/// When it cannot be written, and so is lost.
pub fn answer(text: impl Display) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match write!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// Writes a line about work to stdout. What became of the work does not depend on it.
pub fn tell(line: impl Display) {
    if let Err(error) = answer(format_args!("{line}\n")) {
        log::warn!("cannot write to stdout: {error}");
    }
}

/// Writes a line about a mistake to stderr, if that can be: there is nowhere else to complain.
pub fn complain(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}
