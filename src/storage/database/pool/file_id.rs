//! The identity of a file.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::SystemTime;

/// Identifies a file, whatever its name. The creation time is part of it because the file system may reuse an inode's
/// number for a later file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
    created: Option<SystemTime>,
}

impl FileId {
    /// The file at a path, if there is one.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let id = |file: Metadata| Self { device: file.dev(), inode: file.ino(), created: file.created().ok() };
        path.metadata().ok().map(id)
    }
}
