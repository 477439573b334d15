use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What the service is doing when it is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It creates a database: the files, and all tables.
    Create,
    /// It migrates the database of the first release, which has users in it.
    Upgrade,
    /// It recovers what a killed process has left, and takes creates, updates and deletes.
    Changes,
    /// It prunes old events.
    Pruning,
}

/// The files that SQLite works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum File {
    Database,
    Wal,
    Shm,
    Journal,
    /// The folder of the others, which is opened to sync it.
    Folder,
}

/// What a system call meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The process is killed before the call.
    Kill,
    /// The same, and SQLite's log loses what was not synced.
    PowerCut,
    /// The call fails, and later ones do not.
    Once(Errno),
    /// The call fails, and so do all later ones.
    Lasting(Errno),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errno {
    Eio,
    Enospc,
}

/// A place where the service is cut: the nth time that one of its threads makes this system call on this file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    pub phase: Phase,
    pub file: File,
    pub call: String,
    pub fault: Fault,
    pub nth: usize,
}

impl Phase {
    pub const ALL: [Self; 4] = [Self::Create, Self::Upgrade, Self::Changes, Self::Pruning];

    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Upgrade => "upgrade",
            Self::Changes => "changes",
            Self::Pruning => "pruning",
        }
    }
}

impl File {
    pub const ALL: [Self; 5] = [Self::Database, Self::Wal, Self::Shm, Self::Journal, Self::Folder];

    pub fn name(self) -> &'static str {
        match self {
            Self::Database => "db",
            Self::Wal => "wal",
            Self::Shm => "shm",
            Self::Journal => "journal",
            Self::Folder => "folder",
        }
    }

    /// Where it is, beside this database.
    pub fn path(self, database: &Path) -> PathBuf {
        let beside = |suffix: &str| PathBuf::from(format!("{}{suffix}", database.display()));
        match self {
            Self::Database => database.to_owned(),
            Self::Wal => beside("-wal"),
            Self::Shm => beside("-shm"),
            Self::Journal => beside("-journal"),
            Self::Folder => database.parent().expect("a folder").to_owned(),
        }
    }
}

impl Fault {
    pub const ALL: [Self; 6] = [
        Self::Kill,
        Self::PowerCut,
        Self::Once(Errno::Eio),
        Self::Once(Errno::Enospc),
        Self::Lasting(Errno::Eio),
        Self::Lasting(Errno::Enospc),
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::PowerCut => "power-cut",
            Self::Once(Errno::Eio) => "eio",
            Self::Once(Errno::Enospc) => "enospc",
            Self::Lasting(Errno::Eio) => "eio-lasting",
            Self::Lasting(Errno::Enospc) => "enospc-lasting",
        }
    }

    pub fn kills(self) -> bool {
        matches!(self, Self::Kill | Self::PowerCut)
    }

    pub fn is_lasting(self) -> bool {
        matches!(self, Self::Lasting(_))
    }
}

impl Errno {
    pub fn name(self) -> &'static str {
        match self {
            Self::Eio => "EIO",
            Self::Enospc => "ENOSPC",
        }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { phase, file, call, fault, nth } = self;
        write!(out, "{}/{}/{call}/{}/{nth}", phase.name(), file.name(), fault.name())
    }
}

impl FromStr for Point {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let malformed = || format!("{text} is no point: one is written as in changes/wal/pwrite64/kill/7");
        let [phase, file, call, fault, nth] = text.split('/').collect::<Vec<_>>()[..] else { return Err(malformed()) };
        Ok(Self {
            phase: Phase::ALL.into_iter().find(|known| known.name() == phase).ok_or_else(malformed)?,
            file: File::ALL.into_iter().find(|known| known.name() == file).ok_or_else(malformed)?,
            call: call.to_owned(),
            fault: Fault::ALL.into_iter().find(|known| known.name() == fault).ok_or_else(malformed)?,
            nth: nth.parse().ok().filter(|nth| *nth > 0).ok_or_else(malformed)?,
        })
    }
}
