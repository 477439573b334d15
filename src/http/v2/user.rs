use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::error::JsonPayloadError;
use actix_web::http::header::{CONTENT_TYPE, ETAG, HeaderValue};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::as_of::with_freshness;
use crate::domain::{self, AsOf, Attributes, FieldMask, Profile, Status};
use crate::http::extract::StatusName;

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
    /// The user's key in the system that it came from. Missing if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, min_length = 1, max_length = 255, example = "hr-1815")]
    external_id: Option<String>,
    // Without a description of its own: utoipa would make an object of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<StatusName>, inline, nullable = false)]
    status: Option<&'static str>,
    /// What only the callers know about the user. Missing if it is empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::HashMap<String, serde_json::Value>>, nullable = false, example = json!({"department": "Sales"}))]
    attributes: Option<SharedAttributes>,
}

impl From<domain::User> for User {
    fn from(user: domain::User) -> Self {
        Self {
            id: user.id.get(),
            version: user.version.0,
            created_at: user.created_at.to_string(),
            updated_at: user.updated_at.to_string(),
            external_id: user.external_id().map(|external_id| external_id.as_str().to_owned()),
            status: user.shown_status().map(Status::as_str),
            attributes: SharedAttributes::of(user.profile),
            name: user.name.into_string(),
            email: user.email.into_string(),
        }
    }
}

/// A user, or the fields of it that were asked for.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum ShownUser {
    Whole(User),
    Part(PartOfUser),
}

impl ShownUser {
    pub(super) fn new(user: domain::User, mask: Option<&FieldMask>) -> Self {
        match mask {
            None => Self::Whole(user.into()),
            Some(mask) => Self::Part(PartOfUser::new(user, mask)),
        }
    }
}

/// Some fields of a user.
#[derive(Serialize)]
pub(super) struct PartOfUser {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<Box<RawValue>>,
}

impl PartOfUser {
    fn new(user: domain::User, mask: &FieldMask) -> Self {
        let attributes = user.attributes().and_then(|attributes| mask.attributes(attributes));
        let User { id, name, email, version, created_at, updated_at, external_id, status, .. } = user.into();
        Self {
            id: mask.id.then_some(id),
            name: mask.name.then_some(name),
            email: mask.email.then_some(email),
            version: mask.version.then_some(version),
            created_at: mask.created_at.then_some(created_at),
            updated_at: mask.updated_at.then_some(updated_at),
            external_id: external_id.filter(|_| mask.external_id),
            status: status.filter(|_| mask.status),
            attributes: attributes.map(|attributes| attributes.json().to_owned()),
        }
    }
}

/// Attributes, as the user has them in memory: they are not copied.
struct SharedAttributes(Arc<Profile>);

impl SharedAttributes {
    fn of(profile: Option<Arc<Profile>>) -> Option<Self> {
        profile.filter(|profile| profile.attributes.is_some()).map(Self)
    }
}

impl Serialize for SharedAttributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.attributes.as_ref().map(Attributes::json).serialize(serializer)
    }
}

/// What actix's `json` would parse anew for each response.
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Most users take less.
const USUAL_LENGTH: usize = 256;

/// The response that holds one user, with its entity tag.
pub(super) fn user_response(user: AsOf<domain::User>, mask: Option<&FieldMask>) -> HttpResponse {
    let freshness = user.freshness();
    let user = user.value;
    let mut response = HttpResponse::Ok();
    response.insert_header((ETAG, user.version.etag())).insert_header((CONTENT_TYPE, JSON));
    // actix's `json` begins with room for half of it.
    let mut body = Vec::with_capacity(USUAL_LENGTH);
    let response = match serde_json::to_writer(&mut body, &ShownUser::new(user, mask)) {
        Ok(()) => response.body(body),
        Err(error) => HttpResponse::from_error(JsonPayloadError::Serialize(error)),
    };
    with_freshness(response, &freshness)
}
