use std::path::Path;

use crate::point::{Errno, Fault, File, Point};
use crate::support::{Program, Strace};

/// The calls that change a file or make it durable.
const CHANGES: [&str; 10] =
    ["pwrite64", "write", "fsync", "fdatasync", "ftruncate", "fallocate", "openat", "unlink", "unlinkat", "rename"];
/// Calls between those, at which the process is killed: SQLite's locks, and the look at the files after each commit.
pub const BETWEEN: [&str; 2] = ["fcntl", "statx"];

/// A call as strace logs it.
pub struct Seen<'log> {
    /// The thread's number and name.
    pub thread: &'log str,
    pub call: &'log str,
    pub file: File,
}

/// Begins the program with a look at all calls on a database's files.
pub fn watch(strace: &Strace, program: Program, database: &Path) -> Program {
    strace.begin(program, &all(), &File::ALL.map(|file| file.path(database)), None)
}

/// Begins the program with a fault. Only calls on the point's file count.
pub fn cut(strace: &Strace, program: Program, database: &Path, point: &Point) -> Program {
    let Point { file, call, fault, nth, .. } = point;
    let inject = match fault {
        Fault::Kill | Fault::PowerCut => format!("{call}:signal=KILL:when={nth}"),
        Fault::Once(errno) => format!("{call}:error={}:when={nth}", Errno::name(*errno)),
        Fault::Lasting(errno) => format!("{call}:error={}:when={nth}+", Errno::name(*errno)),
    };
    strace.begin(program, &all(), &[file.path(database)], Some(&inject))
}

fn all() -> Vec<&'static str> {
    CHANGES.into_iter().chain(BETWEEN).collect()
}

impl<'log> Seen<'log> {
    /// Of a line such as `17<writes> fsync(24</folder/users.db-wal>) = 0`.
    pub fn parse(line: &'log str) -> Option<Self> {
        let (thread, rest) = line.split_once("> ")?;
        let (call, arguments) = rest.split_once('(')?;
        let is_call = !call.is_empty() && call.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        is_call.then(|| Self { thread, call, file: file(arguments) })
    }
}

/// The file that a call's arguments name.
fn file(arguments: &str) -> File {
    let Some((_, rest)) = arguments.split_once("/users.db") else { return File::Folder };
    let suffixes = [("-wal", File::Wal), ("-shm", File::Shm), ("-journal", File::Journal)];
    suffixes.into_iter().find_map(|(suffix, file)| rest.starts_with(suffix).then_some(file)).unwrap_or(File::Database)
}
