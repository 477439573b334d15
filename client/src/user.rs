//! Users, and what can be said of them.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A user. Its JSON is that of version 2 of the REST API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct User {
    /// Given by the service, never used again; 1 or more.
    pub id: i64,
    /// 1 to 100 characters.
    pub name: String,
    /// As it was given, and unique: the domain by UTS 46 (non-transitional), the local part in NFC with small letters for capital
    /// ones. The service's docs/api.md says more.
    pub email: String,
    /// 1 when created, one more with every update.
    pub version: i64,
    /// When it was created, to the microsecond.
    pub created_at: DateTime<Utc>,
    /// When it was updated last, to the microsecond.
    pub updated_at: DateTime<Utc>,
}

impl User {
    /// Names this state of the user, for a change that is to happen to no other.
    #[must_use]
    pub fn etag(&self) -> Etag {
        Etag(format!("\"{}\"", self.version))
    }
}

/// A user as version 1 of the REST API tells it, for ever.
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

/// All of a user that a caller decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UserFields {
    /// 1 to 100 characters after trimming, no control characters.
    pub name: String,
    /// At most 254 bytes; unique, see [`User::email`].
    pub email: String,
}

impl UserFields {
    /// Not checked here: the service tells what it does not take.
    pub fn new(name: impl Into<String>, email: impl Into<String>) -> Self {
        Self { name: name.into(), email: email.into() }
    }
}

/// What to change of a user; what is `None` stays as it is.
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
    /// Changes the name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Changes the email.
    #[must_use]
    pub fn email(mut self, email: impl Into<String>) -> Self {
        self.email = Some(email.into());
        self
    }
}

/// Names a state of a user: see [`User::etag`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Etag(String);

impl Etag {
    /// As both protocols write it, with quotes.
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
