use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::support::Strace;

/// Has SQLite's log lose what was written since it was last synced, as a loss of power may. Instead of it there are zeros,
/// which are no frame, as frames of an earlier round of the log would be none.
pub fn lose_unsynced(strace: &Strace, wal: &Path) {
    let Ok(file) = OpenOptions::new().write(true).open(wal) else { return };
    let length = file.metadata().expect("the log's length").len();
    for (offset, count) in unsynced(&strace.text()) {
        let count = count.min(length.saturating_sub(offset));
        file.write_all_at(&vec![0; usize::try_from(count).expect("a page")], offset).expect("zeros are written");
    }
}

/// The parts of the file, offset and length, that were written after it was last synced. The log's calls are on this file only,
/// and one thread writes at a time.
fn unsynced(strace: &str) -> Vec<(u64, u64)> {
    let mut parts = Vec::new();
    for line in strace.lines() {
        if line.contains("sync") && line.ends_with("= 0") {
            parts.clear();
        } else if let Some((_, arguments)) = line.split_once(" pwrite64(") {
            parts.extend(part(arguments));
        }
    }
    parts
}

/// Of `24</folder/users.db-wal>, ""..., 4096, 57736) = 4096`, or of a call that strace has not seen the end of.
fn part(arguments: &str) -> Option<(u64, u64)> {
    let mut numbers = arguments.split(" <unfinished").next()?.split(')').next()?.rsplit(", ");
    let (offset, count) = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
    Some((offset, count))
}
