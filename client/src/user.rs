//! Users, and the fields and etags of their changes.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

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

/// The fields of a user that the caller sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UserFields {
    /// 1 to 100 characters after trimming, no control characters.
    pub name: String,
    /// At most 254 bytes; unique, see [`User::email`].
    pub email: String,
}

impl UserFields {
    /// Does not validate the fields; the service does.
    pub fn new(name: impl Into<String>, email: impl Into<String>) -> Self {
        Self { name: name.into(), email: email.into() }
    }
}

/// A partial update of a user. Fields that are `None` stay unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UserPatch {
    /// The new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The new email.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

impl UserPatch {
    /// Sets the new name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the new email.
    #[must_use]
    pub fn email(mut self, email: impl Into<String>) -> Self {
        self.email = Some(email.into());
        self
    }
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
