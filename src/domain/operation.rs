//! The operations of a batch: what is asked for, and the same parsed.

use std::sync::Arc;

use super::{AttributesSchema, Changes, Error, Fingerprint, NewUser, RawProfile, UserId, Version};

/// The most operations of one batch, and the most users that one request gets.
pub const MAX_BATCH: usize = 1_000;

/// One write of a batch, as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawOperation {
    Create { name: String, email: String, profile: RawProfile },
    Update { id: UserId, expected: Option<Version>, name: Option<String>, email: Option<String>, profile: RawProfile },
    Delete { id: UserId, expected: Option<Version> },
}

/// One write of a batch. With an expected version it is executed only if the user has that version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    Create(NewUser),
    Update { id: UserId, expected: Option<Version>, changes: Changes },
    Delete { id: UserId, expected: Option<Version> },
}

impl Operation {
    /// Parses the fields of a user.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every field that is wrong, or [`Error::InvalidAttributes`].
    pub fn parse(raw: RawOperation, schema: Option<&Arc<AttributesSchema>>) -> Result<Self, Error> {
        Ok(match raw {
            RawOperation::Create { name, email, profile } => {
                Self::Create(NewUser::parse(name, email, profile.held_to(schema))?)
            }
            RawOperation::Update { id, expected, name, email, profile } => {
                Self::Update { id, expected, changes: Changes::parse(name, email, profile.held_to(schema))? }
            }
            RawOperation::Delete { id, expected } => Self::Delete { id, expected },
        })
    }

    /// Adds this operation to the fingerprint of its batch.
    #[must_use]
    pub fn add_to(&self, asked: Fingerprint) -> Fingerprint {
        let number = |version: &Option<Version>| version.map_or(-1, |version| version.0);
        match self {
            Self::Create(new) => new.add_to(asked.number(1)),
            Self::Update { id, expected, changes } => {
                changes.add_to(asked.number(2).number(id.get()).number(number(expected)))
            }
            Self::Delete { id, expected } => asked.number(3).number(id.get()).number(number(expected)),
        }
    }
}

impl Version {
    /// A version that no user ever has: an operation that expects it is refused.
    pub const NEVER: Self = Self(0);
}
