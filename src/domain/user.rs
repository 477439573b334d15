//! Users, and changes of users.

use std::sync::Arc;

use super::profile::hold;
use super::{
    Attributes, Email, Error, ExternalId, FieldError, Fingerprint, Profile, ProfileChange, RawProfile, Status,
    Timestamp, UserId, UserName,
};

/// A stored user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    pub name: UserName,
    pub email: Email,
    pub version: Version,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// `None` is the default one.
    pub profile: Option<Arc<Profile>>,
}

impl User {
    /// The user's key in the system that it came from.
    #[must_use]
    pub fn external_id(&self) -> Option<&ExternalId> {
        self.profile.as_ref()?.external_id.as_ref()
    }

    /// Whether the user is switched on.
    #[must_use]
    pub fn status(&self) -> Status {
        self.profile.as_ref().map_or(Status::Active, |profile| profile.status)
    }

    /// The status, unless it is the usual one: most users have that, and answers do not repeat it.
    #[must_use]
    pub fn shown_status(&self) -> Option<Status> {
        Some(self.status()).filter(|status| *status != Status::default())
    }

    /// What only the callers know about the user.
    #[must_use]
    pub fn attributes(&self) -> Option<&Attributes> {
        self.profile.as_ref()?.attributes.as_ref()
    }
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
    /// `None` is the default one.
    pub profile: Option<Arc<Profile>>,
}

impl NewUser {
    /// Parses all fields.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every field that is wrong, not only the first, or [`Error::InvalidAttributes`].
    pub fn parse(name: String, email: String, profile: RawProfile) -> Result<Self, Error> {
        let schema = profile.schema.clone();
        match (UserName::parse(name), Email::parse(email), Profile::parse(profile)) {
            (Ok(name), Ok(email), Ok(profile)) => {
                let new = Self { name, email, profile };
                hold(new.profile.as_ref().and_then(|profile| profile.attributes.as_ref()), schema.as_deref())?;
                Ok(new)
            }
            (name, email, profile) => Err(all_errors(name.err(), email.err(), profile.err()).into()),
        }
    }

    /// The user's key in the system that it came from.
    #[must_use]
    pub fn external_id(&self) -> Option<&ExternalId> {
        self.profile.as_ref()?.external_id.as_ref()
    }

    /// Adds all that is asked for to the fingerprint of a create.
    #[must_use]
    pub fn add_to(&self, asked: Fingerprint) -> Fingerprint {
        let asked = asked.text(Some(self.name.as_str())).text(Some(self.email.as_str()));
        Profile::add_to(self.profile.as_deref(), asked)
    }
}

/// What an update changes. `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub name: Option<UserName>,
    pub email: Option<Email>,
    pub profile: Option<Box<ProfileChange>>,
}

impl Changes {
    /// Parses the fields that are given.
    ///
    /// # Errors
    /// Every field that is wrong, not only the first.
    pub fn parse(name: Option<String>, email: Option<String>, profile: RawProfile) -> Result<Self, Vec<FieldError>> {
        let (name, email) = (name.map(UserName::parse).transpose(), email.map(Email::parse).transpose());
        match (name, email, ProfileChange::parse(profile)) {
            (Ok(name), Ok(email), Ok(profile)) => Ok(Self { name, email, profile }),
            (name, email, profile) => Err(all_errors(name.err(), email.err(), profile.err())),
        }
    }

    /// The external id that is set.
    #[must_use]
    pub fn external_id(&self) -> Option<&ExternalId> {
        self.profile.as_ref()?.external_id()
    }

    /// Adds all that is asked for to the fingerprint of an update.
    #[must_use]
    pub fn add_to(&self, asked: Fingerprint) -> Fingerprint {
        let asked = asked.text(self.name.as_ref().map(UserName::as_str)).text(self.email.as_ref().map(Email::as_str));
        self.profile.iter().fold(asked, |asked, profile| profile.add_to(asked))
    }
}

fn all_errors(
    name: Option<FieldError>,
    email: Option<FieldError>,
    profile: Option<Vec<FieldError>>,
) -> Vec<FieldError> {
    name.into_iter().chain(email).chain(profile.into_iter().flatten()).collect()
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
