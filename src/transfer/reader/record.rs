use super::fault::{Broken, Fault};
use crate::domain::RawProfile;

/// One record of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The line at which it begins, from 1. A header counts.
    pub line: u64,
    /// Its bytes without the end of the line. Of one that is too long, the beginning.
    pub raw: Vec<u8>,
    /// What it holds, or why it cannot be read.
    pub content: Result<Content, Fault>,
}

/// What a record holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A user. The texts are as they were written, valid or not.
    User {
        name: String,
        email: String,
        /// A file that does not have a field leaves it as it is.
        profile: RawProfile,
    },
    /// The file is whole, and holds as many users as it says.
    End { users: u64 },
}

/// A file that was read to its end.
#[derive(Debug, PartialEq, Eq)]
pub struct Finished {
    /// The last record, if its line had no end.
    pub last: Option<Record>,
    /// Whether the file is an export, which has to say where it ends.
    pub must_end: bool,
    /// How the file ended, or what is wrong with it as a whole.
    pub ending: Result<Ending, Broken>,
}

/// How a file that can be read ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It said that it is whole.
    Marked,
    /// It says nothing about that, as one made by hand.
    Unmarked,
}

/// What is read of one record.
pub(super) struct Parsed {
    pub(super) content: Content,
    /// Whether only an export has such a record.
    pub(super) is_exported: bool,
}
