//! Users, and changes of users.

use super::{Email, FieldError, Timestamp, UserId, UserName};

/// A stored user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    pub name: UserName,
    pub email: Email,
    pub version: Version,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Counts the writes of a user: 1 after the create, one more after each update. Ids are never reused, so id and version
/// together identify one state of one user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub i64);

impl Version {
    /// The version of a user that was just created.
    pub const FIRST: Self = Self(1);

    /// The strong entity tag of this version (RFC 9110, 8.8.3), with its quotes.
    #[must_use]
    pub fn etag(self) -> String {
        // `format!` takes twice as long, and every answer has a tag.
        ["\"", &self.0.to_string(), "\""].concat()
    }

    /// The version of an entity tag, given without its quotes. `None` for a tag that the service never produces, such
    /// as `01`.
    #[must_use]
    pub fn of_tag(opaque: &str) -> Option<Self> {
        let number: i64 = opaque.parse().ok()?;
        (number.to_string() == opaque).then_some(Self(number))
    }
}

/// A user that is not stored yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewUser {
    pub name: UserName,
    pub email: Email,
}

impl NewUser {
    /// Parses both fields.
    ///
    /// # Errors
    /// Every field that is wrong, not only the first.
    pub fn parse(name: String, email: String) -> Result<Self, Vec<FieldError>> {
        match (UserName::parse(name), Email::parse(email)) {
            (Ok(name), Ok(email)) => Ok(Self { name, email }),
            (name, email) => Err([name.err(), email.err()].into_iter().flatten().collect()),
        }
    }
}

/// What an update changes. `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub name: Option<UserName>,
    pub email: Option<Email>,
}

impl Changes {
    /// Parses the fields that are given.
    ///
    /// # Errors
    /// Every field that is wrong, not only the first.
    pub fn parse(name: Option<String>, email: Option<String>) -> Result<Self, Vec<FieldError>> {
        match (name.map(UserName::parse).transpose(), email.map(Email::parse).transpose()) {
            (Ok(name), Ok(email)) => Ok(Self { name, email }),
            (name, email) => Err([name.err(), email.err()].into_iter().flatten().collect()),
        }
    }
}

/// The versions in which a user may be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Any version.
    AnyVersion,
    /// One of these versions. An empty list permits no change.
    OneOf(Vec<Version>),
}

impl Expected {
    /// Whether a user in this version may be changed.
    #[must_use]
    pub fn includes(&self, version: Version) -> bool {
        match self {
            Self::AnyVersion => true,
            Self::OneOf(versions) => versions.contains(&version),
        }
    }
}
