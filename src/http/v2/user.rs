use actix_web::HttpResponse;
use actix_web::error::JsonPayloadError;
use actix_web::http::header::{CONTENT_TYPE, ETAG, HeaderValue};
use serde::Serialize;
use utoipa::ToSchema;

use super::as_of::with_freshness;
use crate::domain::{self, AsOf};

/// A user.
#[derive(Serialize, ToSchema)]
#[schema(as = v2::User)]
pub(super) struct User {
    /// Given by the service, and never given again.
    #[schema(example = 1, minimum = 1)]
    id: i64,
    #[schema(min_length = 1, max_length = 100, example = "John")]
    name: String,
    /// Unique among all users, regardless of case.
    #[schema(max_length = 254, example = "john@example.com")]
    email: String,
    /// 1 for a new user, and one more after every update. The `ETag` is this number in quotes.
    #[schema(example = 1, minimum = 1)]
    version: i64,
    /// When the user was created (RFC 3339, UTC).
    #[schema(value_type = String, format = DateTime, example = "2026-01-31T12:00:00.000001Z")]
    created_at: String,
    /// When the user was last updated (RFC 3339, UTC).
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

/// What actix's `json` would parse anew for each response.
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Most users take less.
const USUAL_LENGTH: usize = 256;

/// The response that holds one user, with its entity tag.
pub(super) fn user_response(user: AsOf<domain::User>) -> HttpResponse {
    let freshness = user.freshness();
    let user = user.value;
    let mut response = HttpResponse::Ok();
    response.insert_header((ETAG, user.version.etag())).insert_header((CONTENT_TYPE, JSON));
    // actix's `json` begins with room for half of it.
    let mut body = Vec::with_capacity(USUAL_LENGTH);
    let response = match serde_json::to_writer(&mut body, &User::from(user)) {
        Ok(()) => response.body(body),
        Err(error) => HttpResponse::from_error(JsonPayloadError::Serialize(error)),
    };
    with_freshness(response, &freshness)
}
