//! Reads the header of SQLite's WAL index, the file `-shm` (<https://sqlite.org/walformat.html>, 2.1).
//!
//! The header says which commit is the last one. The file has two copies of it, of 48 bytes each, at 0 and 48. A commit
//! writes the second copy first, then the first. Each copy ends with a checksum of what is before it: of the number of
//! commits, the length of the log, and the salts and the checksum of the log itself. So the checksum of the second copy
//! alone says whether a commit has finished since it was read before.
//!
//! `-shm` is never closed: a process that closes any descriptor of it drops all locks that SQLite holds on it in this
//! process (<https://sqlite.org/howtocorrupt.html>, 2.2). So a process opens it a bounded number of times.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The length of one copy.
const COPY: usize = 48;
/// The length of one copy without its checksum.
const BODY: usize = 40;
/// Where the checksum of the second copy is.
const SECOND_CHECKSUM: u64 = 88;
/// The only version of the format so far.
const VERSION: u32 = 3_007_000;
/// How often a process may open the file: each time leaves a descriptor open.
const MAX_OPENED: usize = 16;
/// Stands for no file in [`WalIndex::current`].
const NO_FILE: usize = usize::MAX;

/// What the header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) checksum: u64,
    /// Rises by one with each commit.
    pub(super) commits: u32,
}

/// Why the index cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("{0}")]
    File(#[from] io::Error),
    #[error("it was replaced while it was opened")]
    Replaced,
    #[error("it has been opened {MAX_OPENED} times")]
    TooOften,
    #[error("its format is not known")]
    Format,
    #[error("it is being written")]
    BeingWritten,
    #[error("it has not shown a commit of this process")]
    Untrue,
}

/// The WAL index of the database, or none.
pub(super) struct WalIndex {
    /// Never closed: `'static`, so that dropping this closes nothing.
    files: [OnceLock<&'static File>; MAX_OPENED],
    current: AtomicUsize,
}

impl WalIndex {
    pub(super) const fn new() -> Self {
        Self { files: [const { OnceLock::new() }; MAX_OPENED], current: AtomicUsize::new(NO_FILE) }
    }

    /// Opens the index at this path.
    pub(super) fn open(&self, path: &Path) -> Result<(), Unreadable> {
        let free = self.files.iter().position(|file| file.get().is_none()).ok_or(Unreadable::TooOften)?;
        let slot = self.files.get(free).ok_or(Unreadable::TooOften)?;
        let file: &'static File = Box::leak(Box::new(File::open(path)?));
        slot.get_or_init(|| file);
        let (opened, there) = (file.metadata()?, path.metadata()?);
        if (opened.dev(), opened.ino()) != (there.dev(), there.ino()) {
            return Err(Unreadable::Replaced);
        }
        parse(&read(file)?)?;
        self.current.store(free, Ordering::SeqCst);
        Ok(())
    }

    /// Reads the file no more.
    pub(super) fn forget(&self) {
        self.current.store(NO_FILE, Ordering::SeqCst);
    }

    pub(super) fn is_open(&self) -> bool {
        self.file().is_some()
    }

    /// The checksum of the second copy: the same as before if no commit has finished in between.
    ///
    /// A commit that is just being written may be read in part. It has not finished, so whatever is read is right.
    pub(super) fn checksum(&self) -> Option<u64> {
        let mut bytes = [0; 8];
        self.file()?.read_exact_at(&mut bytes, SECOND_CHECKSUM).ok()?;
        Some(u64::from_ne_bytes(bytes))
    }

    /// The header. `None` while a commit writes it.
    pub(super) fn header(&self) -> Option<Header> {
        parse(&read(self.file()?).ok()?).ok()
    }

    fn file(&self) -> Option<&'static File> {
        self.files.get(self.current.load(Ordering::SeqCst))?.get().copied()
    }
}

fn read(file: &File) -> io::Result<[u8; 2 * COPY]> {
    let mut bytes = [0; 2 * COPY];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// Parses both copies of a header. Numbers are in the byte order of the machine.
fn parse(bytes: &[u8; 2 * COPY]) -> Result<Header, Unreadable> {
    let (first, second) = bytes.split_at(COPY);
    if first != second {
        return Err(Unreadable::BeingWritten);
    }
    let (body, checksum) = second.split_at(BODY);
    let checksum = u64::from_ne_bytes(checksum.try_into().map_err(|_| Unreadable::Format)?);
    let words = Vec::from_iter(body.as_chunks::<4>().0.iter().map(|word| u32::from_ne_bytes(*word)));
    let is_known = words.first() == Some(&VERSION) && checksum_of(&words) == checksum;
    let commits = words.get(2).copied().filter(|_| is_known).ok_or(Unreadable::Format)?;
    Ok(Header { checksum, commits })
}

/// SQLite's checksum, as two words of the machine's byte order.
fn checksum_of(words: &[u32]) -> u64 {
    let (mut one, mut two) = (0_u32, 0_u32);
    for [first, second] in words.as_chunks().0 {
        one = one.wrapping_add(*first).wrapping_add(two);
        two = two.wrapping_add(*second).wrapping_add(one);
    }
    let mut bytes = [0; 8];
    let (start, end) = bytes.split_at_mut(4);
    start.copy_from_slice(&one.to_ne_bytes());
    end.copy_from_slice(&two.to_ne_bytes());
    u64::from_ne_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use diesel::connection::SimpleConnection as _;
    use diesel::prelude::*;
    use tempfile::TempDir;

    use super::*;

    /// A database, and the index that is read beside it.
    fn database() -> (TempDir, SqliteConnection, WalIndex) {
        let folder = tempfile::tempdir().unwrap();
        let mut sqlite = connect(&folder);
        sqlite.batch_execute("PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (1)").unwrap();
        let index = WalIndex::new();
        index.open(&folder.path().join("db-shm")).unwrap();
        (folder, sqlite, index)
    }

    fn connect(folder: &TempDir) -> SqliteConnection {
        SqliteConnection::establish(folder.path().join("db").to_str().unwrap()).unwrap()
    }

    #[test]
    fn every_commit_of_whatever_connection_is_the_next() {
        let (folder, mut sqlite, index) = database();
        let mut other = connect(&folder);
        for _ in 0..100 {
            for connection in [&mut sqlite, &mut other] {
                let before = index.header().unwrap();
                connection.batch_execute("INSERT INTO t VALUES (1)").unwrap();
                let after = index.header().unwrap();
                assert_eq!(after.commits, before.commits + 1);
                assert_ne!(after.checksum, before.checksum);
                assert_eq!(index.checksum(), Some(after.checksum));
            }
        }
    }

    #[test]
    fn what_commits_nothing_leaves_it_as_it_was() {
        let (folder, mut sqlite, index) = database();
        let before = index.header();
        for statement in [
            "SELECT * FROM t",
            "BEGIN IMMEDIATE; COMMIT",
            "BEGIN IMMEDIATE; INSERT INTO t VALUES (1); ROLLBACK",
            "BEGIN IMMEDIATE; UPDATE t SET x = 2 WHERE x = 7; COMMIT",
        ] {
            sqlite.batch_execute(statement).unwrap();
            connect(&folder).batch_execute(statement).unwrap();
            assert_eq!((index.header(), index.checksum()), (before, before.map(|header| header.checksum)));
        }
    }

    /// Others start the log anew. That is no commit, but the next commit is still told apart.
    #[test]
    fn a_log_that_starts_anew_shows() {
        let (folder, mut sqlite, index) = database();
        let before = index.header().unwrap();
        connect(&folder).batch_execute("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        let between = index.header().unwrap();
        assert_ne!(between.checksum, before.checksum);
        sqlite.batch_execute("INSERT INTO t VALUES (1)").unwrap();
        assert_eq!(index.header().unwrap().commits, between.commits + 1);
    }

    #[test]
    fn only_a_header_of_this_format_is_read() {
        let (folder, _sqlite, index) = database();
        let path = folder.path().join("db-shm");
        let bytes: [u8; 2 * COPY] = std::fs::read(path).unwrap().first_chunk().copied().unwrap();
        assert_eq!(parse(&bytes).ok(), index.header());
        for wrong in [0, 8, 41] {
            let mut both = bytes;
            both[wrong] ^= 1;
            assert!(matches!(parse(&both), Err(Unreadable::BeingWritten)));
            both[COPY + wrong] ^= 1;
            assert!(matches!(parse(&both), Err(Unreadable::Format)));
        }
        assert!(matches!(parse(&[0; 2 * COPY]), Err(Unreadable::Format)));
    }

    #[test]
    fn it_is_opened_a_bounded_number_of_times() {
        let (folder, _sqlite, index) = database();
        let path = folder.path().join("db-shm");
        for _ in 1..MAX_OPENED {
            index.forget();
            assert!(!index.is_open() && index.checksum().is_none() && index.header().is_none());
            index.open(&path).unwrap();
        }
        index.forget();
        assert!(matches!(index.open(&path), Err(Unreadable::TooOften)) && !index.is_open());
    }
}
