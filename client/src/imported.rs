//! What the service says of an import.

use serde::{Deserialize, Deserializer};

use crate::problem::Code;

/// How far an import has come.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Import {
    /// The caller's name for the import.
    pub id: String,
    /// Whether it goes on.
    pub state: ImportState,
    /// What becomes of users whose email another user has.
    pub on_conflict: OnConflict,
    /// Where to go on after a cut: the line of the next user, from 1. Each user that this client sends has one line.
    pub next_line: u64,
    /// How many users are done: the sum of the four below.
    pub records: u64,
    /// How many were created.
    pub created: u64,
    /// How many were updated.
    pub updated: u64,
    /// How many were passed over.
    pub skipped: u64,
    /// How many have failed. They do not stop the import.
    pub failed: u64,
    /// The first 1,000 failures, in the order of the lines.
    pub failures: Vec<ImportFailure>,
}

/// What has become of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ImportState {
    /// An upload is under way, or was until a few seconds ago.
    Running,
    /// The last upload was cut. Another one may go on.
    Interrupted,
    /// All users are done; some may have failed.
    Completed,
}

impl ImportState {
    /// The name in REST, such as `completed`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Interrupted => "interrupted",
            Self::Completed => "completed",
        }
    }
}

/// What becomes of a user of an import whose email another user has, perhaps an earlier one of the same import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnConflict {
    /// It has failed.
    #[default]
    Fail,
    /// It is passed over.
    Skip,
    /// The other user gets all fields that are given. If it has them already, it is passed over.
    Update,
}

impl OnConflict {
    /// The name in REST, such as `fail`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Skip => "skip",
            Self::Update => "update",
        }
    }
}

/// Why a user of an import has failed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct ImportFailure {
    /// The user's line, from 1.
    pub line: u64,
    /// The kind of failure, for programs.
    #[serde(deserialize_with = "code")]
    pub code: Code,
    /// The field that is wrong, as a JSON pointer (RFC 6901), if it is one.
    #[serde(default)]
    pub pointer: Option<String>,
    /// A description of the failure, for humans.
    pub detail: String,
}

fn code<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Code, D::Error> {
    String::deserialize(deserializer).map(|name| Code::parse(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_is_read() {
        let json = r#"{"id":"monday","state":"interrupted","on_conflict":"skip","next_line":3,"records":2,"created":1,
            "updated":0,"skipped":0,"failed":1,"failures":[
                {"line":2,"code":"email_taken","pointer":"/email","detail":"another user has this email"},
                {"line":2,"code":"one_of_tomorrow","detail":"is wrong"}],"new":1}"#;
        let import: Import = serde_json::from_str(json).unwrap();
        assert_eq!((import.state, import.on_conflict), (ImportState::Interrupted, OnConflict::Skip));
        assert_eq!((import.next_line, import.records, import.failed), (3, 2, 1));
        let failures = Vec::from_iter(import.failures.iter().map(|it| (it.code.as_str(), it.pointer.as_deref())));
        assert_eq!(failures, [("email_taken", Some("/email")), ("one_of_tomorrow", None)]);
    }
}
