//! Version 1 of the API: small, and it never changes.

mod create_user;
mod delete_user;
mod error;
mod get_user;
mod list_users;
mod update_user;

use serde::Serialize;
use utoipa::ToSchema;

pub(super) use create_user::*;
pub(super) use delete_user::*;
pub(super) use error::error_response;
pub(super) use get_user::*;
pub(super) use list_users::*;
pub(super) use update_user::*;

use crate::domain;

/// A user.
#[derive(Serialize, ToSchema)]
#[schema(as = v1::User)]
pub(super) struct User {
    #[schema(example = 1, minimum = 1)]
    id: i64,
    #[schema(min_length = 1, max_length = 100, example = "John")]
    name: String,
    #[schema(max_length = 254, example = "john@example.com")]
    email: String,
}

impl From<domain::User> for User {
    fn from(user: domain::User) -> Self {
        Self { id: user.id.get(), name: user.name.into_string(), email: user.email.into_string() }
    }
}
