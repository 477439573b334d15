//! A history: what each client asked, when, and what it was told.
//!
//! A history file holds one JSON object per line and call, in any order. Empty lines are skipped. An object has these
//! members, and no others:
//!
//! | member | |
//! | --- | --- |
//! | `client` | the number of the client that made the call |
//! | `protocol` | `"rest"`, `"grpc"` or `"sql"` |
//! | `operation` | what was asked, see [`Operation`] |
//! | `start` | when the client sent it, in nanoseconds of one monotonic clock that all clients share |
//! | `end` | when the client had the answer, by the same clock; absent if it never had one |
//! | `outcome` | what was answered, see [`Outcome`] |
//!
//! ```json
//! {"client":3,"protocol":"rest","operation":{"kind":"create","name":"a-1","email":"a1@x.io"},"start":10,"end":25,"outcome":{"kind":"user","id":7,"name":"a-1","email":"a1@x.io","version":1}}
//! ```
//!
//! What the checker relies on, and the harness must see to:
//!
//! - **Each name is unique in the run**: no two writes give the same name, so a name tells which write gave it.
//! - **Addresses are keys**: two addresses are the same exactly if their text is. Plain ASCII in lower case is.
//! - **Names and prefixes are compared as text**, so they are plain ASCII in lower case too.
//! - **A list holds all users of its prefix, from one snapshot**: one page, not several.
//! - **The history is whole**: it has every call that may have changed its users, and it begins before there were any.
//! - **A client knows an id from an outcome of the history**, not from an event of a create that was never answered.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What all clients asked and were told, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The calls; a report names a call by its place here.
    pub calls: Vec<Call>,
}

/// One call: an invocation, and its response if there was one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// Who made the call.
    pub client: u32,
    /// How it was sent.
    pub protocol: Protocol,
    /// What was asked.
    pub operation: Operation,
    /// When the client sent it, in nanoseconds.
    pub start: u64,
    /// When the client had the answer; `None` if it never had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<u64>,
    /// What was answered.
    pub outcome: Outcome,
}

/// How a call was sent. The semantics of the API are the same over both protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// Over HTTP, version 2 of the API: version 1 shows no versions of users.
    Rest,
    /// Over gRPC.
    Grpc,
    /// As a statement to the database, beside the service.
    Sql,
}

/// What a call asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Operation {
    /// Create a user.
    Create {
        /// Its name.
        name: String,
        /// Its address.
        email: String,
    },
    /// Get the user with this id.
    Get {
        /// The user's id.
        id: u64,
    },
    /// Get the user with this address.
    GetByEmail {
        /// The address.
        email: String,
    },
    /// List all users whose names begin so.
    List {
        /// What their names begin with.
        name_prefix: String,
    },
    /// Replace a user's name and address.
    Put {
        /// The user's id.
        id: u64,
        /// Its new name.
        name: String,
        /// Its new address.
        email: String,
        /// The only version to be replaced.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        if_match: Option<u64>,
    },
    /// Change a user's name, its address, both, or only its version.
    Patch {
        /// The user's id.
        id: u64,
        /// Its new name; `None` keeps the old one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Its new address; `None` keeps the old one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        email: Option<String>,
        /// The only version to be changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        if_match: Option<u64>,
    },
    /// Delete a user.
    Delete {
        /// The user's id.
        id: u64,
        /// The only version to be deleted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        if_match: Option<u64>,
    },
    /// Change a user's name by SQL, as an operator does: its version stays, and no event tells of it.
    Rename {
        /// The user's id.
        id: u64,
        /// Its new name.
        name: String,
    },
}

/// What a call was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Outcome {
    /// A create, a put, a patch or a rename took effect and left this user; or a read found it.
    User(User),
    /// A list found these users, in any order.
    Users {
        /// All of them.
        users: Vec<User>,
    },
    /// Nobody has the address.
    None,
    /// A delete took effect.
    Done,
    /// 404: there is no such user.
    NotFound,
    /// 409: another user has the address.
    EmailTaken,
    /// 412: the user is not in the version of `if_match`.
    VersionMismatch,
    /// 422: the call was malformed. It took no effect, and says nothing about users.
    Invalid,
    /// 503, 429 and such: the call was surely not executed.
    Refused,
    /// 504, a cut connection, or no answer: a write takes effect at any moment after its start, or never.
    Unknown,
}

/// A user, as an outcome shows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Its address.
    pub email: String,
    /// Its version: 1 when it is created, and one more after every change but a rename.
    pub version: u64,
}

/// Why a text is no history.
#[derive(Debug, Error)]
#[error("line {line}: {reason}")]
pub struct Malformed {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

impl FromStr for History {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let mut names = HashSet::new();
        let calls = read_lines(text, |call: &Call| {
            let is_new = call.operation.name().is_none_or(|name| names.insert(name.to_owned()));
            if is_new { call.flaw() } else { Some("another write gives the same name") }
        })?;
        Ok(History { calls })
    }
}

/// Reads one JSON value per line, and asks for the flaw of each.
pub(crate) fn read_lines<T: for<'text> Deserialize<'text>>(
    text: &str,
    mut flaw: impl FnMut(&T) -> Option<&'static str>,
) -> Result<Vec<T>, Malformed> {
    let lines = text.lines().zip(1..).filter(|(text, _)| !text.trim().is_empty());
    let read = lines.map(|(text, line)| {
        let value = serde_json::from_str(text).map_err(|error| Malformed { line, reason: error.to_string() })?;
        flaw(&value).map_or(Ok(value), |reason| Err(Malformed { line, reason: reason.to_owned() }))
    });
    read.collect()
}

impl Call {
    /// What makes it no call at all.
    fn flaw(&self) -> Option<&'static str> {
        match self.end {
            Some(end) if end < self.start => Some("the call ends before its start"),
            None if self.outcome != Outcome::Unknown => Some("a call without an end has the outcome \"unknown\""),
            _ => None,
        }
    }

    /// Whether the call says nothing at all: it surely took no effect, and shows nothing.
    pub(crate) fn is_mute(&self) -> bool {
        match self.outcome {
            Outcome::Invalid | Outcome::Refused => true,
            Outcome::Unknown => self.operation.is_read(),
            _ => false,
        }
    }

    /// The users that the outcome shows.
    pub(crate) fn seen(&self) -> &[User] {
        match &self.outcome {
            Outcome::User(user) => std::slice::from_ref(user),
            Outcome::Users { users } => users,
            _ => &[],
        }
    }
}

impl Operation {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_read(&self) -> bool {
        matches!(self, Operation::Get { .. } | Operation::GetByEmail { .. } | Operation::List { .. })
    }

    /// The id that it names.
    pub(crate) fn id(&self) -> Option<u64> {
        match self {
            Operation::Get { id }
            | Operation::Put { id, .. }
            | Operation::Patch { id, .. }
            | Operation::Delete { id, .. }
            | Operation::Rename { id, .. } => Some(*id),
            Operation::Create { .. } | Operation::GetByEmail { .. } | Operation::List { .. } => None,
        }
    }

    /// The name that it gives a user.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Operation::Create { name, .. }
            | Operation::Put { name, .. }
            | Operation::Patch { name: Some(name), .. }
            | Operation::Rename { name, .. } => Some(name),
            _ => None,
        }
    }

    /// The address that it gives a user or looks for.
    pub(crate) fn email(&self) -> Option<&str> {
        match self {
            Operation::Create { email, .. }
            | Operation::Put { email, .. }
            | Operation::Patch { email: Some(email), .. }
            | Operation::GetByEmail { email } => Some(email),
            _ => None,
        }
    }

    pub(crate) fn if_match(&self) -> Option<u64> {
        match self {
            Operation::Put { if_match, .. }
            | Operation::Patch { if_match, .. }
            | Operation::Delete { if_match, .. } => *if_match,
            _ => None,
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} → {}", self.operation, self.outcome)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operation::Create { name, email } => write!(out, "create {name} {email}"),
            Operation::Get { id } => write!(out, "get {id}"),
            Operation::GetByEmail { email } => write!(out, "get_by_email {email}"),
            Operation::List { name_prefix } => write!(out, "list {name_prefix}*"),
            Operation::Put { id, name, email, .. } => write!(out, "put {id} {name} {email}"),
            Operation::Patch { id, name, email, .. } => {
                write!(out, "patch {id}")?;
                [name, email].into_iter().flatten().try_for_each(|value| write!(out, " {value}"))
            }
            Operation::Delete { id, .. } => write!(out, "delete {id}"),
            Operation::Rename { id, name } => write!(out, "rename {id} {name} by SQL"),
        }?;
        self.if_match().map_or(Ok(()), |version| write!(out, " if version {version}"))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::User(user) => write!(out, "{user}"),
            Outcome::Users { users } => {
                let shown = Vec::from_iter(users.iter().map(ToString::to_string));
                write!(out, "[{}]", shown.join(", "))
            }
            Outcome::None => out.write_str("nobody"),
            Outcome::Done => out.write_str("done"),
            Outcome::NotFound => out.write_str("not found"),
            Outcome::EmailTaken => out.write_str("email taken"),
            Outcome::VersionMismatch => out.write_str("version mismatch"),
            Outcome::Invalid => out.write_str("invalid"),
            Outcome::Refused => out.write_str("refused"),
            Outcome::Unknown => out.write_str("unknown"),
        }
    }
}

/// `7v1 a-1 a1@x.io`: id, version, name, address.
impl fmt::Display for User {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}v{} {} {}", self.id, self.version, self.name, self.email)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One line for each operation and each outcome, as the harness writes them.
    const LINES: &str = r#"{"client":0,"protocol":"rest","operation":{"kind":"create","name":"a-1","email":"a@x.io"},"start":1,"end":2,"outcome":{"kind":"user","id":7,"name":"a-1","email":"a@x.io","version":1}}
{"client":1,"protocol":"grpc","operation":{"kind":"get","id":7},"start":3,"end":4,"outcome":{"kind":"not_found"}}
{"client":1,"protocol":"grpc","operation":{"kind":"get_by_email","email":"a@x.io"},"start":3,"end":4,"outcome":{"kind":"none"}}
{"client":1,"protocol":"rest","operation":{"kind":"list","name_prefix":"a-"},"start":3,"end":4,"outcome":{"kind":"users","users":[{"id":7,"name":"a-1","email":"a@x.io","version":1}]}}
{"client":1,"protocol":"rest","operation":{"kind":"put","id":7,"name":"a-2","email":"b@x.io","if_match":1},"start":3,"end":4,"outcome":{"kind":"version_mismatch"}}
{"client":1,"protocol":"rest","operation":{"kind":"patch","id":7,"email":"c@x.io"},"start":3,"end":4,"outcome":{"kind":"email_taken"}}
{"client":1,"protocol":"rest","operation":{"kind":"patch","id":7,"name":"a-3"},"start":3,"end":4,"outcome":{"kind":"invalid"}}
{"client":1,"protocol":"rest","operation":{"kind":"delete","id":7},"start":3,"end":4,"outcome":{"kind":"done"}}
{"client":1,"protocol":"rest","operation":{"kind":"delete","id":7,"if_match":3},"start":3,"end":4,"outcome":{"kind":"refused"}}
{"client":1,"protocol":"rest","operation":{"kind":"delete","id":7},"start":3,"outcome":{"kind":"unknown"}}
{"client":2,"protocol":"sql","operation":{"kind":"rename","id":7,"name":"a-4"},"start":3,"end":4,"outcome":{"kind":"not_found"}}"#;

    #[test]
    fn a_history_is_read_as_it_is_written() {
        let history = LINES.parse::<History>().unwrap();
        let written = Vec::from_iter(history.calls.iter().map(|call| serde_json::to_string(call).unwrap()));
        assert_eq!(written.join("\n"), LINES);
    }

    #[test]
    fn what_is_no_call_is_named_by_its_line() {
        let complaint = |line: &str| format!("\n{line}").parse::<History>().unwrap_err().to_string();
        let get =
            |rest: &str| format!(r#"{{"client":1,"protocol":"rest","operation":{{"kind":"get","id":7}},{rest}}}"#);
        let twice = LINES.replace("a-2", "a-1").parse::<History>().unwrap_err();
        assert_eq!(twice.to_string(), "line 5: another write gives the same name");
        assert!(complaint("{}").starts_with("line 2: missing field"));
        assert!(complaint(&get(r#""start":3,"end":2,"outcome":{"kind":"not_found"}"#)).contains("ends before"));
        assert!(complaint(&get(r#""start":3,"outcome":{"kind":"not_found"}"#)).contains("without an end"));
        assert!(complaint(&get(r#""start":3,"outcome":{"kind":"unknown"},"x":1"#)).contains("unknown field"));
        assert!(complaint(&get(r#""start":3,"outcome":{"kind":"maybe"}"#)).contains("unknown variant"));
    }
}
