//! Whether the files of a SQLite database are still those that were opened.
//!
//! SQLite goes on with a file that was deleted or replaced beneath it, and reports success for what is then on no disk that
//! anybody will read again. Nothing here opens a file: closing any descriptor of the database, its `-wal` or its `-shm` would
//! drop the locks that SQLite holds on it in this process. So the paths are asked by `stat`, and their modes set by `chmod`.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use rustix::fs::Access;
use rustix::io::Errno;

/// The files of one database, for all connections of this process.
pub(super) struct SqliteFiles {
    path: PathBuf,
    /// As it was when it was opened first.
    first: OnceLock<Option<First>>,
    /// Whether those connections that are open must be closed before another one is opened. One whose `-wal` or `-shm` was lost
    /// would damage the database together with one that has others; and all connections of a process share one `-shm`, which
    /// stays read-only for as long as one of them is open that found it so.
    closes_first: AtomicBool,
    /// Every open connection has a clone.
    open: Arc<()>,
}

struct First {
    id: FileId,
    /// SQLite has them beside the file that a link leads to.
    wal: PathBuf,
    shm: PathBuf,
}

/// The files that one connection has open.
pub(super) struct OpenFiles {
    files: Arc<SqliteFiles>,
    /// As they were when they were looked at first: SQLite makes them when it needs them.
    wal: OnceLock<FileId>,
    shm: OnceLock<FileId>,
    _open: Arc<()>,
}

/// A file that is not where it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Displaced {
    #[error("{0} is gone, or is not the file that was opened: put that back, or restart the service")]
    Database(PathBuf),
    #[error("{0} was deleted, replaced or changed while it was in use: all connections are opened anew")]
    Beside(PathBuf),
}

impl OpenFiles {
    /// Whether what is committed over this connection is in the database.
    pub(super) fn check(&self) -> Result<(), Displaced> {
        self.files.check()?;
        let Some(first) = self.files.first() else { return Ok(()) };
        for (path, opened) in first.beside().into_iter().zip([&self.wal, &self.shm]) {
            if !is_in_place(path, opened) {
                self.files.close_first();
                return Err(Displaced::Beside(path.to_owned()));
            }
        }
        Ok(())
    }
}

fn is_in_place(path: &Path, opened: &OnceLock<FileId>) -> bool {
    match (FileId::of(path), opened.get()) {
        (None, None) => true,
        (None, Some(_)) => false,
        (Some(id), _) => *opened.get_or_init(|| id) == id,
    }
}

impl SqliteFiles {
    pub(super) fn new(path: &Path) -> Arc<Self> {
        let (first, closes_first, open) = (OnceLock::new(), AtomicBool::new(false), Arc::new(()));
        Arc::new(Self { path: path.to_owned(), first, closes_first, open })
    }

    /// Whether a connection may be opened now.
    pub(super) fn check_before_open(&self) -> Result<(), Displaced> {
        self.check()?;
        if self.closes_first() {
            // When the last one closes, SQLite writes what is in its log into the database.
            if Arc::strong_count(&self.open) > 1 {
                return Err(Displaced::Beside(self.path.clone()));
            }
            self.closes_first.store(false, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Whether connections have to be closed before others may be opened.
    pub(super) fn closes_first(&self) -> bool {
        self.closes_first.load(Ordering::SeqCst)
    }

    /// Has all connections closed before another one is opened.
    pub(super) fn close_first(&self) {
        self.closes_first.store(true, Ordering::SeqCst);
    }

    /// Whether the file system lets the database be written, and what is beside it.
    pub(super) fn may_be_written(&self) -> bool {
        self.first().is_none_or(|first| may_be_written(&self.path) && first.beside().into_iter().all(may_be_written))
    }

    /// Gives the files beside a database that may be written its mode, if they may not; true when one was changed.
    ///
    /// SQLite makes them with the database's mode. So those that were made while it was read-only would stay read-only after
    /// somebody has mended it, and with them all connections.
    pub(super) fn follow_mode(&self) -> bool {
        let Some(first) = self.first().filter(|_| may_be_written(&self.path)) else { return false };
        let Ok(mode) = self.path.metadata().map(|file| file.permissions()) else { return false };
        let mut is_changed = false;
        for path in first.beside().into_iter().filter(|path| !may_be_written(path)) {
            // A link that somebody has put there leads to a file that is none of ours.
            let is_file = path.symlink_metadata().is_ok_and(|file| file.is_file());
            is_changed |= is_file && fs::set_permissions(path, mode.clone()).is_ok();
        }
        is_changed
    }

    /// The files of a connection that was opened just now.
    pub(super) fn opened(self: &Arc<Self>) -> Result<OpenFiles, Displaced> {
        self.first.get_or_init(|| First::of(&self.path));
        let opened = OpenFiles {
            files: Arc::clone(self),
            wal: OnceLock::new(),
            shm: OnceLock::new(),
            _open: Arc::clone(&self.open),
        };
        opened.check()?;
        Ok(opened)
    }

    /// Whether the database itself is where it was.
    fn check(&self) -> Result<(), Displaced> {
        match self.first() {
            Some(first) if FileId::of(&self.path) != Some(first.id) => Err(Displaced::Database(self.path.clone())),
            _ => Ok(()),
        }
    }

    fn first(&self) -> Option<&First> {
        self.first.get()?.as_ref()
    }
}

/// What is not there will be made.
fn may_be_written(path: &Path) -> bool {
    matches!(rustix::fs::access(path, Access::WRITE_OK), Ok(()) | Err(Errno::NOENT))
}

impl First {
    fn beside(&self) -> [&Path; 2] {
        [&self.wal, &self.shm]
    }

    /// `None` for what is no path of a file, but a URI that SQLite understands.
    fn of(path: &Path) -> Option<Self> {
        let real = path.canonicalize().ok()?;
        let beside = |suffix: &str| {
            let mut name = OsString::from(&real);
            name.push(suffix);
            PathBuf::from(name)
        };
        Some(Self { id: FileId::of(path)?, wal: beside("-wal"), shm: beside("-shm") })
    }
}

/// A number may be used again for a new file, though not at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
    created: Option<SystemTime>,
}

impl FileId {
    fn of(path: &Path) -> Option<Self> {
        let id = |file: Metadata| Self { device: file.dev(), inode: file.ino(), created: file.created().ok() };
        path.metadata().ok().map(id)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn notices_what_takes_a_files_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.db");
        let beside = |suffix: &str| folder.path().join(format!("users.db{suffix}"));
        for suffix in ["", "-wal", "-shm"] {
            fs::write(beside(suffix), []).unwrap();
        }
        let files = SqliteFiles::new(&path);
        let opened = files.opened().unwrap();
        assert!(opened.check().is_ok());
        for suffix in ["", "-wal", "-shm"] {
            let aside = folder.path().join("aside");
            fs::rename(beside(suffix), &aside).unwrap();
            assert!(opened.check().is_err(), "gone: {suffix}");
            fs::write(beside(suffix), []).unwrap();
            assert!(opened.check().is_err(), "replaced: {suffix}");
            assert!(files.check_before_open().is_err(), "{suffix}");
            fs::rename(&aside, beside(suffix)).unwrap();
            assert!(opened.check().is_ok(), "back: {suffix}");
        }
    }

    #[test]
    fn a_file_beside_it_follows_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let [path, wal, elsewhere] = ["users.db", "users.db-wal", "elsewhere"].map(|name| folder.path().join(name));
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        for path in [&path, &wal, &elsewhere] {
            fs::write(path, []).unwrap();
            fs::set_permissions(path, Permissions::from_mode(0o400)).unwrap();
        }
        std::os::unix::fs::symlink(&elsewhere, folder.path().join("users.db-shm")).unwrap();
        let files = SqliteFiles::new(&path);
        files.opened().unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        // To root every file may be written.
        let is_root = may_be_written(&elsewhere);
        assert_eq!(files.follow_mode(), !is_root);
        assert_eq!(mode(&wal) == 0o600, !is_root);
        assert_eq!(mode(&elsewhere), 0o400, "not through a link");
        assert!(!files.follow_mode());
    }

    #[test]
    fn none_is_opened_beside_one_that_has_lost_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.db");
        let wal = folder.path().join("users.db-wal");
        fs::write(&path, []).unwrap();
        fs::write(&wal, []).unwrap();
        let files = SqliteFiles::new(&path);
        let opened = files.opened().unwrap();
        fs::remove_file(&wal).unwrap();
        assert!(opened.check().is_err() && files.check_before_open().is_err());
        drop(opened);
        assert!(files.check_before_open().is_ok());
    }

    #[test]
    fn what_is_no_path_is_not_watched() {
        let files = SqliteFiles::new(Path::new("file:users.db?mode=rwc"));
        assert!(files.opened().unwrap().check().is_ok());
    }
}
