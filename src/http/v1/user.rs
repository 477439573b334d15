use serde::Serialize;
use utoipa::ToSchema;

use crate::domain;

/// A user.
#[derive(Serialize, ToSchema)]
#[schema(as = v1::User)]
pub(super) struct User {
    /// Given by the service, and never given again.
    #[schema(example = 1, minimum = 1)]
    id: i64,
    #[schema(min_length = 1, max_length = 100, example = "John")]
    name: String,
    /// Unique among all users, regardless of case.
    #[schema(max_length = 254, example = "john@example.com")]
    email: String,
}

impl From<domain::User> for User {
    fn from(user: domain::User) -> Self {
        Self { id: user.id.get(), name: user.name.into_string(), email: user.email.into_string() }
    }
}
