//! Users, and their etags. `fields.rs` has what changes them.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// A user. It serializes as in version 2 of the REST API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct User {
    /// Assigned by the service, never reused, 1 or more.
    pub id: i64,
    /// 1 to 100 characters.
    pub name: String,
    /// The email as given. It is unique: the service compares the domain by UTS 46 (non-transitional), and the local
    /// part in NFC and lower case. The service's docs/api.md has the details.
    pub email: String,
    /// 1 on creation; every update increments it.
    pub version: i64,
    /// When the user was created, to the microsecond.
    pub created_at: DateTime<Utc>,
    /// When the user was last updated, to the microsecond.
    pub updated_at: DateTime<Utc>,
    /// The user's key in the system that it came from, if it has one: 1 to 255 characters, unique, compared byte for
    /// byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Whether the user is switched on.
    #[serde(default, skip_serializing_if = "Status::is_active")]
    pub status: Status,
    /// What only the service's callers know about the user; empty if there is nothing. The service keeps all digits of a
    /// number, but here numbers are what `serde_json` makes of them: an integer of up to 64 bits, or a double. A program
    /// that turns on the feature `arbitrary_precision` of `serde_json` keeps all digits.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Map::is_empty")]
    pub attributes: Map<String, Value>,
}

/// Whether a user is switched on. The service treats both alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// The user is switched on.
    #[default]
    Active,
    /// The user is switched off.
    Disabled,
}

impl Status {
    /// The name in REST, such as `active`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    const fn is_active(&self) -> bool {
        matches!(self, Self::Active)
    }
}

/// In an export `null` stands for no attributes.
fn null_is_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl User {
    /// The etag of this state of the user, for changes that must apply to no other state.
    #[must_use]
    pub fn etag(&self) -> Etag {
        Etag(format!("\"{}\"", self.version))
    }
}

/// A user as in version 1 of the REST API, which never changes.
///
/// ```
/// use user_service_client::UserV1;
///
/// let john: UserV1 = serde_json::from_str(r#"{"id":1,"name":"John","email":"john@example.com"}"#)?;
/// assert_eq!(john.name, "John");
/// # Ok::<_, serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserV1 {
    /// See [`User::id`].
    pub id: i64,
    /// See [`User::name`].
    pub name: String,
    /// See [`User::email`].
    pub email: String,
}

/// Identifies a state of a user: see [`User::etag`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Etag(String);

impl Etag {
    /// The etag as in both protocols, with its quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A user in JSON, for tests.
#[cfg(test)]
pub(crate) const JOHN: &str = r#"{"id":1,"name":"John","email":"john@example.com","version":1,
    "created_at":"2026-01-31T12:00:00Z","updated_at":"2026-01-31T12:00:00Z"}"#;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn john(profile: &str) -> User {
        serde_json::from_str(&JOHN.replace('}', &format!("{profile}}}"))).unwrap()
    }

    #[test]
    fn a_profile_that_is_missing_or_null_is_empty() {
        let john_alone = john("");
        assert_eq!(
            (&john_alone.external_id, john_alone.status, john_alone.attributes.len()),
            (&None, Status::Active, 0)
        );
        assert_eq!(john(r#","external_id":null,"status":"active","attributes":null"#), john_alone);
        assert_eq!(json!(john_alone).as_object().unwrap().len(), 6);
    }

    #[test]
    fn a_profile_is_written_as_it_was_read() {
        let profile = r#","external_id":"hr-1","status":"disabled","attributes":{"a":{"b":[1,2.5]}}"#;
        let john = john(profile);
        assert_eq!((john.external_id.as_deref(), john.status), (Some("hr-1"), Status::Disabled));
        assert_eq!(serde_json::from_value::<User>(json!(john)).unwrap(), john);
        assert_eq!(json!(john)["attributes"], json!({ "a": { "b": [1, 2.5] } }));
        assert_eq!(json!(john)["status"], john.status.as_str());
    }
}
