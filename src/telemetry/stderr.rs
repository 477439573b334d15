//! Captures what libraries print to stderr, and logs it.
//!
//! PostgreSQL reports some conditions to every new connection, for example that a collation has another version by now.
//! libpq prints them to stderr before Diesel can stop it; the server sends them before it looks at any option of the
//! connection. So stderr leads into a pipe while a connection opens, and each line in the pipe becomes one line of the
//! log.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read as _, Write};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::LazyLock;

use parking_lot::Mutex;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::stdio::dup2_stderr;

/// Runs work that may print to stderr, and logs each line that it prints. A line is logged once in the life of the
/// process, because the work may run often.
///
/// Stderr is redirected only while the work runs: otherwise the last words of a process that crashes would stay in the
/// pipe. Lines that do not fit into the pipe are lost; printing never blocks.
pub fn capture_stderr<T>(work: impl FnOnce() -> T) -> T {
    let _redirection = CAPTURE.as_ref().map(Redirection::begin);
    work()
}

/// A writer to the real stderr, for the log.
pub(super) fn of_the_log() -> Box<dyn Write + Send> {
    match io::stderr().as_fd().try_clone_to_owned() {
        Ok(stderr) => Box::new(File::from(stderr)),
        Err(_) => Box::new(io::stderr()),
    }
}

/// The process has one stderr. `None` if the system does not support redirecting it.
static CAPTURE: LazyLock<Option<Capture>> = LazyLock::new(|| Capture::new().ok());

struct Capture {
    stderr: OwnedFd,
    pipe: OwnedFd,
    captured: Mutex<Captured>,
}

struct Captured {
    /// How many threads run work that may print.
    printing: usize,
    pipe: File,
    /// The beginning of an incomplete line.
    rest: Vec<u8>,
    logged: HashSet<String>,
}

impl Capture {
    fn new() -> io::Result<Self> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let stderr = io::stderr().as_fd().try_clone_to_owned()?;
        let captured = Captured { printing: 0, pipe: read.into(), rest: Vec::new(), logged: HashSet::new() };
        Ok(Self { stderr, pipe: write, captured: Mutex::new(captured) })
    }
}

struct Redirection<'a>(&'a Capture);

impl<'a> Redirection<'a> {
    fn begin(capture: &'a Capture) -> Self {
        let mut captured = capture.captured.lock();
        captured.printing += 1;
        if captured.printing == 1 {
            // If this fails, the work prints to the real stderr.
            let _ = dup2_stderr(&capture.pipe);
        }
        Self(capture)
    }
}

impl Drop for Redirection<'_> {
    fn drop(&mut self) {
        let Self(capture) = self;
        let mut captured = capture.captured.lock();
        captured.printing -= 1;
        if captured.printing == 0 {
            let _ = dup2_stderr(&capture.stderr);
        }
        captured.log();
    }
}

impl Captured {
    /// Logs the lines that are in the pipe by now.
    fn log(&mut self) {
        /// The maximum of different lines: more would tell an operator nothing new.
        const MAX_LOGGED: usize = 100;
        // Ends with an error that says that nothing more is there for now.
        let _ = self.pipe.read_to_end(&mut self.rest);
        let end = match self.rest.iter().rposition(|byte| *byte == b'\n') {
            // Another thread may be about to print the rest of the line.
            Some(last) if self.printing > 0 => last + 1,
            None if self.printing > 0 => 0,
            _ => self.rest.len(),
        };
        let lines = Vec::from_iter(self.rest.drain(..end));
        for line in String::from_utf8_lossy(&lines).lines().filter(|line| !line.trim().is_empty()) {
            if self.logged.len() < MAX_LOGGED && self.logged.insert(line.to_owned()) {
                log::warn!("{line}");
            }
        }
    }
}
