//! Converts between messages and the types of the domain.

use prost_types::Timestamp;

use super::failure::Failure;
use super::generated::users::User;
use crate::domain::{self, Email, Filter, NamePrefix, PageSize, UserId};

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

/// Validates an id in the field of this name.
pub(super) fn user_id(field: &'static str, id: i64) -> Result<UserId, Failure> {
    UserId::from_i64(id).map_err(|_| Failure::InvalidField { field: field.into(), detail: "must be 1 or more" })
}

pub(super) fn page_size(size: i32) -> Result<PageSize, Failure> {
    let negative = Failure::InvalidField { field: "page_size".into(), detail: "must not be negative" };
    Ok(PageSize::at_most_max(u64::try_from(size).map_err(|_| negative)?).unwrap_or(PageSize::DEFAULT))
}

pub(super) fn filter(email: Option<&str>, name_prefix: Option<&str>) -> Result<Filter, Failure> {
    let email = email.map(Email::parse_to_find).transpose();
    let name_prefix = name_prefix.map(NamePrefix::parse).transpose();
    Ok(Filter {
        email: email.map_err(|error| Failure::InvalidField { field: "email".into(), detail: error.detail })?,
        name_prefix: name_prefix.map_err(|detail| Failure::InvalidField { field: "name_prefix".into(), detail })?,
    })
}
