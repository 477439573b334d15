//! Converts between messages and the types of the domain.

use std::collections::BTreeMap;

use prost_types::Timestamp;

use super::failure::Failure;
use super::generated::users::{ListUsersRequest, User, UserStatus};
use super::raw_user;
use crate::domain::{
    self, AttributeFilter, AttributeName, Email, ExternalId, Filter, NamePrefix, Order, PageSize, UserId,
};

impl From<domain::User> for User {
    fn from(user: domain::User) -> Self {
        let (created_at, updated_at) = (Some(timestamp(user.created_at)), Some(timestamp(user.updated_at)));
        let (id, version, etag) = (user.id.get(), user.version.0, user.version.etag());
        let external_id = user.external_id().map(|external_id| external_id.as_str().to_owned());
        let attributes = user.attributes().map_or_else(String::new, |attributes| attributes.as_str().to_owned());
        let status = status(user.status()).into();
        Self {
            id,
            name: user.name.into_string(),
            email: user.email.into_string(),
            version,
            created_at,
            updated_at,
            etag,
            external_id,
            status,
            attributes,
        }
    }
}

const fn status(status: domain::Status) -> UserStatus {
    match status {
        domain::Status::Active => UserStatus::Active,
        domain::Status::Disabled => UserStatus::Disabled,
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

/// Parses the filters and the order. Lists can be filtered by attributes that are `indexed`.
pub(super) fn filter(request: &ListUsersRequest, indexed: &[AttributeName]) -> Result<Filter, Failure> {
    let invalid = |field: &'static str, detail| Failure::InvalidField { field: field.into(), detail };
    let email = request.email.as_deref().map(Email::parse_to_find).transpose();
    let name_prefix = request.name_prefix.as_deref().map(NamePrefix::parse).transpose();
    let order = Some(request.order_by.as_str()).filter(|order| !order.is_empty()).map(Order::parse).transpose();
    let external_id = request.external_id.clone().map(ExternalId::parse).transpose();
    // By name, so that the first mistake is always the same.
    let attributes = AttributeFilter::parse_all(BTreeMap::from_iter(request.attributes.clone()), indexed);
    Ok(Filter {
        email: email.map_err(|error| invalid("email", error.detail))?,
        name_prefix: name_prefix.map_err(|detail| invalid("name_prefix", detail))?,
        external_id: external_id.map_err(|error| invalid("external_id", error.detail))?,
        status: raw_user::status("status", request.status)?,
        attributes: attributes.map_err(|error| Failure::InvalidField {
            field: format!("attributes[{}]", error.name.chars().take(32).collect::<String>()).into(),
            detail: error.detail,
        })?,
        order: order.map_err(|detail| invalid("order_by", detail))?,
    })
}
