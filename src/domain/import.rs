//! Imports of users: their names, options and progress.

use std::borrow::Cow;

use sha2::{Digest as _, Sha256};

/// What a caller calls an import: 1 to 100 letters, digits, `.`, `_` or `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportId(Cow<'static, str>);

/// The text is no id of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of an import is 1 to 100 letters, digits, '.', '_' or '-'")]
pub struct InvalidImportId;

impl ImportId {
    /// Of an import without a name.
    pub const DEFAULT: Self = Self(Cow::Borrowed("import"));
    const MAX_LENGTH: usize = 100;

    /// Parses an id.
    ///
    /// # Errors
    /// [`InvalidImportId`] for anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidImportId> {
        let is_known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let is_valid = (1..=Self::MAX_LENGTH).contains(&text.len()) && text.bytes().all(is_known);
        is_valid.then(|| Self(text.to_owned().into())).ok_or(InvalidImportId)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What becomes of a user whose email another one has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// The record has failed.
    #[default]
    Fail,
    /// The record is passed over.
    Skip,
    /// The other user gets its name and its spelling of the email. If it has them already, the record is passed over.
    Update,
}

impl OnConflict {
    /// What this word means.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "fail" => Some(Self::Fail),
            "skip" => Some(Self::Skip),
            "update" => Some(Self::Update),
            _ => None,
        }
    }
}

/// How an import is made. A repetition must have the same options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportOptions {
    /// The format of the file, as a number that never changes.
    pub format: i16,
    pub on_conflict: OnConflict,
}

/// How far an import has come. All records before `next_line` are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportProgress {
    /// The line at which the next record begins, from 1.
    pub next_line: i64,
    /// How many records are done.
    pub records: i64,
    pub hash: RecordsHash,
    /// Whether the file is an export, which has to say where it ends.
    pub must_end: bool,
    /// Whether that is the whole file.
    pub is_complete: bool,
}

/// How many records of an import have become what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportCounts {
    pub created: i64,
    pub updated: i64,
    pub skipped: i64,
    pub failed: i64,
}

/// What is wrong with a record of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportFailure {
    /// The line at which the record begins.
    pub line: i64,
    /// A name for programs. It never changes.
    pub code: String,
    /// The member or the column that is wrong, as a JSON pointer (RFC 6901). `None` for the whole record.
    pub pointer: Option<String>,
    /// What is wrong with it, in words for people.
    pub detail: String,
}

/// A hash over the records of a file, one after the other: a repetition that differs is found out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordsHash([u8; 32]);

impl RecordsHash {
    /// Of no records.
    pub const EMPTY: Self = Self([0; 32]);

    /// The hash that was stored. `None` if these bytes are none.
    #[must_use]
    pub fn stored(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Adds a record, without the end of its line.
    #[must_use]
    pub fn with(self, record: &[u8]) -> Self {
        Self(Sha256::new().chain_update(self.0).chain_update(record).finalize().into())
    }

    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_fits_into_a_path() {
        for id in ["a", "2026-12-01.users_1", &"x".repeat(100)] {
            assert_eq!(ImportId::parse(id).unwrap().as_str(), id);
        }
        for id in ["", "a b", "a/b", "ü", "a%20", &"x".repeat(101)] {
            assert_eq!(ImportId::parse(id), Err(InvalidImportId), "{id:?}");
        }
    }

    #[test]
    fn a_hash_tells_records_and_their_order_apart() {
        let of = |records: &[&str]| records.iter().fold(RecordsHash::default(), |hash, it| hash.with(it.as_bytes()));
        let hashes = [of(&[]), of(&[""]), of(&["a", "b"]), of(&["b", "a"]), of(&["ab"]), of(&["a", "b", ""])];
        for (at, hash) in hashes.iter().enumerate() {
            assert!(hashes.iter().skip(at + 1).all(|other| other != hash));
        }
        assert_eq!(RecordsHash::stored(hashes[3].as_bytes()), Some(hashes[3]));
    }
}
