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

/// How often a user has been written: 1 when created, one more with every update. Together with the id, which is never
/// used again, it names one state of one user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub i64);

impl Version {
    /// The version of a user that was just created.
    pub const FIRST: Self = Self(1);

    /// The strong entity tag of a user in this version (RFC 9110, 8.8.3), with its quotes.
    #[must_use]
    pub fn etag(self) -> String {
        format!("\"{}\"", self.0)
    }

    /// The version that a tag names, given without its quotes. `None` for a tag that was never given: `01` is none.
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

/// What an update changes; `None` leaves the field as it is.
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

/// Which state of a user a change is meant for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Whatever there is.
    AnyVersion,
    /// One of these; in no other state may the user change. May be empty, and then nothing changes.
    OneOf(Vec<Version>),
}

impl Expected {
    /// Whether a user in this version may change.
    #[must_use]
    pub fn includes(&self, version: Version) -> bool {
        match self {
            Self::AnyVersion => true,
            Self::OneOf(versions) => versions.contains(&version),
        }
    }
}
