//! Whether the files of a SQLite database are still those that were opened.
//!
//! SQLite goes on writing into a file that was deleted or replaced, and reports success. So after each commit, before
//! it answers, the writer checks whether the database, its `-wal` and its `-shm` are the files that its connection
//! opened; the keeper checks once a second. The check is three `stat` calls per batch: opening and closing one of these
//! files would drop the locks that SQLite holds in this process. A pool that has opened a file opens no other file
//! under its name.
//!
//! Without `-wal` or `-shm`, every connection is closed before one is opened again; the last one to close writes its
//! log into the database. SQLite creates these two with the current mode of the database. If the database was read-only
//! and no longer is, the keeper gives them the new mode, by `chmod` of the paths, and all connections are reopened. As
//! long as one of the three is not writable, `/ready` says `read_only`.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use diesel::ConnectionResult;
use rustix::fs::Access;
use rustix::io::Errno;

use super::cache_files::CacheFiles;
use super::file_id::FileId;
use crate::storage::database::connection::Connection;
use crate::storage::user_cache::SqliteCache;

/// The files of one database, as all connections of this process know them.
pub(super) struct SqliteFiles {
    path: PathBuf,
    /// Set when the database is first opened.
    original: OnceLock<Option<Original>>,
    /// Whether all open connections must be closed before one is opened. A connection that has lost its `-wal` or
    /// `-shm` would damage the database together with a connection that has other ones. All connections of a process
    /// share one `-shm`, which stays read-only while any connection is open that found it so.
    closes_first: AtomicBool,
    /// Every open connection holds a clone.
    open: Arc<()>,
    cache: Option<CacheFiles>,
}

struct Original {
    id: FileId,
    /// Beside the file itself, if the configured path is a link.
    wal: PathBuf,
    shm: PathBuf,
}

/// The files that one connection has open.
pub(super) struct OpenFiles {
    files: Arc<SqliteFiles>,
    /// Set at the first check: SQLite creates these files when it needs them.
    wal: OnceLock<FileId>,
    shm: OnceLock<FileId>,
    _open: Arc<()>,
}

/// A file that is no longer in its place.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Displaced {
    #[error("{0} is gone, or is not the file that was opened: put that back, or restart the service")]
    Database(PathBuf),
    #[error("{0} was deleted, replaced or changed while it was in use: all connections are opened anew")]
    Companion(PathBuf),
}

impl OpenFiles {
    /// Whether commits over this connection reach the database's files.
    pub(super) fn check(&self) -> Result<(), Displaced> {
        self.files.check()?;
        let Some(original) = self.files.original() else { return Ok(()) };
        for (path, opened) in original.companions().into_iter().zip([&self.wal, &self.shm]) {
            if !is_in_place(path, opened) {
                self.files.close_first();
                return Err(Displaced::Companion(path.to_owned()));
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
    pub(super) fn new(path: &Path, cache: Option<SqliteCache>) -> Arc<Self> {
        let (original, closes_first, open) = (OnceLock::new(), AtomicBool::new(false), Arc::new(()));
        let cache = cache.map(CacheFiles::new);
        Arc::new(Self { path: path.to_owned(), original, closes_first, open, cache })
    }

    /// The user cache, which is to be told of commits.
    pub(super) fn cache(&self) -> Option<&SqliteCache> {
        self.cache.as_ref().map(CacheFiles::cache)
    }

    /// Lets the user cache see commits. The files must have been opened.
    pub(super) fn tie_cache(self: &Arc<Self>, connect: impl FnOnce() -> ConnectionResult<Connection>) {
        let (Some(cache), Some(original)) = (&self.cache, self.original()) else { return };
        // SQLite keeps the index of a database that it cannot write elsewhere.
        if self.closes_first() || !self.are_writable() {
            return;
        }
        let Ok(opened) = self.opened() else { return };
        cache.tie(&original.shm, &self.open, connect);
        // The files may have been replaced in between.
        if opened.check().is_err() || self.closes_first() {
            cache.cut();
        }
    }

    /// Whether a connection may be opened now.
    pub(super) fn check_before_open(&self) -> Result<(), Displaced> {
        self.check()?;
        if self.closes_first() {
            // When the last connection closes, SQLite writes its log into the database.
            if Arc::strong_count(&self.open) > 1 {
                return Err(Displaced::Companion(self.path.clone()));
            }
            self.closes_first.store(false, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Whether all connections must be closed before one is opened.
    pub(super) fn closes_first(&self) -> bool {
        self.closes_first.load(Ordering::SeqCst)
    }

    /// Requires that all connections are closed before one is opened.
    pub(super) fn close_first(&self) {
        self.closes_first.store(true, Ordering::SeqCst);
        if let Some(cache) = &self.cache {
            cache.cut();
        }
    }

    /// Whether the file system permits writing to the database, its `-wal` and its `-shm`.
    pub(super) fn are_writable(&self) -> bool {
        self.original()
            .is_none_or(|original| is_writable(&self.path) && original.companions().into_iter().all(is_writable))
    }

    /// Gives `-wal` and `-shm` the mode of the database, if the database is writable and they are not. Returns whether
    /// a mode was changed.
    ///
    /// SQLite creates these files with the mode of the database. If they were created while the database was read-only,
    /// they would stay read-only after an operator has changed its mode, and so would all connections.
    pub(super) fn follow_mode(&self) -> bool {
        let Some(original) = self.original().filter(|_| is_writable(&self.path)) else { return false };
        let Ok(mode) = self.path.metadata().map(|file| file.permissions()) else { return false };
        let mut is_changed = false;
        for path in original.companions().into_iter().filter(|path| !is_writable(path)) {
            // A link may lead to a file that is not the database's.
            let is_file = path.symlink_metadata().is_ok_and(|file| file.is_file());
            is_changed |= is_file && fs::set_permissions(path, mode.clone()).is_ok();
        }
        is_changed
    }

    /// The files of a connection that has just been opened.
    pub(super) fn opened(self: &Arc<Self>) -> Result<OpenFiles, Displaced> {
        self.original.get_or_init(|| Original::of(&self.path));
        let opened = OpenFiles {
            files: Arc::clone(self),
            wal: OnceLock::new(),
            shm: OnceLock::new(),
            _open: Arc::clone(&self.open),
        };
        opened.check()?;
        Ok(opened)
    }

    /// Whether the database's own file is in its place.
    fn check(&self) -> Result<(), Displaced> {
        match self.original() {
            Some(original) if FileId::of(&self.path) != Some(original.id) => {
                Err(Displaced::Database(self.path.clone()))
            }
            _ => Ok(()),
        }
    }

    fn original(&self) -> Option<&Original> {
        self.original.get()?.as_ref()
    }
}

/// A missing file counts as writable: SQLite will create it.
fn is_writable(path: &Path) -> bool {
    matches!(rustix::fs::access(path, Access::WRITE_OK), Ok(()) | Err(Errno::NOENT))
}

impl Original {
    fn companions(&self) -> [&Path; 2] {
        [&self.wal, &self.shm]
    }

    /// `None` if the path is a URI for SQLite, not the path of a file.
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

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn detects_a_replaced_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.db");
        let beside = |suffix: &str| folder.path().join(format!("users.db{suffix}"));
        for suffix in ["", "-wal", "-shm"] {
            fs::write(beside(suffix), []).unwrap();
        }
        let files = SqliteFiles::new(&path, None);
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
    fn wal_and_shm_follow_the_mode_of_the_database() {
        let folder = tempfile::tempdir().unwrap();
        let [path, wal, elsewhere] = ["users.db", "users.db-wal", "elsewhere"].map(|name| folder.path().join(name));
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        for path in [&path, &wal, &elsewhere] {
            fs::write(path, []).unwrap();
            fs::set_permissions(path, Permissions::from_mode(0o400)).unwrap();
        }
        std::os::unix::fs::symlink(&elsewhere, folder.path().join("users.db-shm")).unwrap();
        let files = SqliteFiles::new(&path, None);
        files.opened().unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        // Root may write to every file.
        let is_root = is_writable(&elsewhere);
        assert_eq!(files.follow_mode(), !is_root);
        assert_eq!(mode(&wal) == 0o600, !is_root);
        assert_eq!(mode(&elsewhere), 0o400, "not through a link");
        assert!(!files.follow_mode());
    }

    #[test]
    fn no_connection_opens_beside_one_that_has_lost_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.db");
        let wal = folder.path().join("users.db-wal");
        fs::write(&path, []).unwrap();
        fs::write(&wal, []).unwrap();
        let files = SqliteFiles::new(&path, None);
        let opened = files.opened().unwrap();
        fs::remove_file(&wal).unwrap();
        assert!(opened.check().is_err() && files.check_before_open().is_err());
        drop(opened);
        assert!(files.check_before_open().is_ok());
    }

    #[test]
    fn a_uri_is_not_watched() {
        let files = SqliteFiles::new(Path::new("file:users.db?mode=rwc"), None);
        assert!(files.opened().unwrap().check().is_ok());
    }
}
