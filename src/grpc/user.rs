use prost_types::Timestamp;

use super::failure::Failure;
use super::generated::users::User;
use crate::domain::{self, UserId};

impl From<domain::User> for User {
    fn from(user: domain::User) -> Self {
        let (created_at, updated_at) = (Some(timestamp(user.created_at)), Some(timestamp(user.updated_at)));
        let (id, version, etag) = (user.id.get(), user.version.0, user.version.etag());
        Self {
            id,
            name: user.name.into_string(),
            email: user.email.into_string(),
            version,
            created_at,
            updated_at,
            etag,
        }
    }
}

pub(super) fn timestamp(at: domain::Timestamp) -> Timestamp {
    const MICROS: i64 = 1_000_000;
    let nanos = i32::try_from(at.unix_micros().rem_euclid(MICROS) * 1000).unwrap_or_default();
    Timestamp { seconds: at.unix_micros().div_euclid(MICROS), nanos }
}

/// The id of a request.
pub(super) fn user_id(field: &'static str, id: i64) -> Result<UserId, Failure> {
    UserId::from_i64(id).map_err(|_| Failure::InvalidField { field, detail: "must be 1 or more" })
}
