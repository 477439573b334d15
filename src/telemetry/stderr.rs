//! Stderr belongs to the log. What a library prints there, past the log, becomes lines of it.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read as _, Write};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::LazyLock;

use parking_lot::Mutex;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::stdio::dup2_stderr;

/// Runs what may print to stderr, and logs each line that it prints there, once in the life of the process: it may run often.
///
/// Only meanwhile, and not for good: the last words of a process that crashes would stay in the pipe. Of what prints more than
/// a pipe holds, the rest is lost; nobody waits for room.
pub fn capture_stderr<T>(work: impl FnOnce() -> T) -> T {
    let _listening = EAR.as_ref().map(Listening::begin);
    work()
}

/// The log's own way to stderr, wherever what others print goes.
pub(super) fn of_the_log() -> Box<dyn Write + Send> {
    match io::stderr().as_fd().try_clone_to_owned() {
        Ok(stderr) => Box::new(File::from(stderr)),
        Err(_) => Box::new(io::stderr()),
    }
}

/// There is one stderr. None when the system lacks what it takes.
static EAR: LazyLock<Option<Ear>> = LazyLock::new(|| Ear::new().ok());

struct Ear {
    stderr: OwnedFd,
    pipe: OwnedFd,
    capture_stderr: Mutex<Heard>,
}

struct Heard {
    /// How many run what may print.
    speakers: usize,
    pipe: File,
    /// What is no whole line yet.
    rest: Vec<u8>,
    told: HashSet<String>,
}

impl Ear {
    fn new() -> io::Result<Self> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let stderr = io::stderr().as_fd().try_clone_to_owned()?;
        let capture_stderr = Heard { speakers: 0, pipe: read.into(), rest: Vec::new(), told: HashSet::new() };
        Ok(Self { stderr, pipe: write, capture_stderr: Mutex::new(capture_stderr) })
    }
}

struct Listening<'a>(&'a Ear);

impl<'a> Listening<'a> {
    fn begin(ear: &'a Ear) -> Self {
        let mut capture_stderr = ear.capture_stderr.lock();
        capture_stderr.speakers += 1;
        if capture_stderr.speakers == 1 {
            // If this fails, what is printed is printed.
            let _ = dup2_stderr(&ear.pipe);
        }
        Self(ear)
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        let Self(ear) = self;
        let mut capture_stderr = ear.capture_stderr.lock();
        capture_stderr.speakers -= 1;
        if capture_stderr.speakers == 0 {
            let _ = dup2_stderr(&ear.stderr);
        }
        capture_stderr.tell();
    }
}

impl Heard {
    /// Logs what is in the pipe by now.
    fn tell(&mut self) {
        /// A hundred different ones are told: that many tell no more than a few.
        const MAX_TOLD: usize = 100;
        // It ends with an error: that there is nothing more for now.
        let _ = self.pipe.read_to_end(&mut self.rest);
        let end = match self.rest.iter().rposition(|byte| *byte == b'\n') {
            // Others may be about to print the rest of a line.
            Some(last) if self.speakers > 0 => last + 1,
            None if self.speakers > 0 => 0,
            _ => self.rest.len(),
        };
        let lines = Vec::from_iter(self.rest.drain(..end));
        for line in String::from_utf8_lossy(&lines).lines().filter(|line| !line.trim().is_empty()) {
            if self.told.len() < MAX_TOLD && self.told.insert(line.to_owned()) {
                log::warn!("{line}");
            }
        }
    }
}
