//! Version 2 of the API: what a heavy client needs. Versions as ETags, keyset pages, filters, merge patches, problems.

mod create_user;
mod delete_user;
mod etag;
mod failures;
mod get_user;
mod list_users;
mod patch_user;
mod sse;
mod stream_events;
mod update_user;

use actix_web::HttpResponse;
use actix_web::http::header::ETAG;
use serde::Serialize;
use utoipa::ToSchema;

pub(super) use create_user::*;
pub(super) use delete_user::*;
pub(super) use get_user::*;
pub(super) use list_users::*;
pub(super) use patch_user::*;
pub(super) use stream_events::*;
pub(super) use update_user::*;

use crate::domain;

/// A user.
#[derive(Serialize, ToSchema)]
#[schema(as = v2::User)]
pub(super) struct User {
    #[schema(example = 1, minimum = 1)]
    id: i64,
    #[schema(min_length = 1, max_length = 100, example = "John")]
    name: String,
    #[schema(max_length = 254, example = "john@example.com")]
    email: String,
    /// 1 when created, one more with every update; the ETag is made of it.
    #[schema(example = 1, minimum = 1)]
    version: i64,
    /// RFC 3339, UTC.
    #[schema(value_type = String, format = DateTime, example = "2026-01-31T12:00:00.000001Z")]
    created_at: String,
    /// RFC 3339, UTC.
    #[schema(value_type = String, format = DateTime, example = "2026-01-31T12:00:00.000001Z")]
    updated_at: String,
}

impl From<domain::User> for User {
    fn from(user: domain::User) -> Self {
        Self {
            id: user.id.get(),
            name: user.name.into_string(),
            email: user.email.into_string(),
            version: user.version.0,
            created_at: user.created_at.to_string(),
            updated_at: user.updated_at.to_string(),
        }
    }
}

/// The answer that holds one user, with its ETag.
fn user_response(user: domain::User) -> HttpResponse {
    HttpResponse::Ok().insert_header((ETAG, user.version.etag())).json(User::from(user))
}
