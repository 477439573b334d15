use actix_web::http::header::{ETAG, LOCATION};
use actix_web::{HttpResponse, web};

use super::as_of::with_freshness;
use super::error_responses::{BodyErrors, CommonErrors, JsonErrors, WriteErrors};
use super::user::User;
use crate::domain::Written;
use crate::http::extract::{Body, Idempotency, UserBody, with_replay};
use crate::http::problem::Failure;
use crate::service;
use crate::storage::Storage;

/// Creates a user.
#[utoipa::path(post, path = "/api/v2/users", tag = "version 2", operation_id = "v2_create_user",
    request_body = UserBody,
    responses(
        (status = CREATED, description = "The new user.", body = User, headers(
            ("Location" = String, description = "The user's path."),
            ("ETag" = String, description = "The user's version."),
            ("Events-Position" = i64, description = "A position of the log of events that shows the change."))),
        BodyErrors, JsonErrors, WriteErrors, CommonErrors))]
pub(crate) async fn create_user(
    storage: web::Data<Storage>,
    key: Idempotency,
    body: Body<UserBody>,
) -> Result<HttpResponse, Failure> {
    let (name, email, profile) = body.0.into_parts();
    let Written { answer: user, is_replay } = service::create_user(&storage, name, email, profile, key.0).await?;
    let freshness = user.freshness();
    let location = (LOCATION, format!("/api/v2/users/{}", user.value.id));
    let etag = (ETAG, user.value.version.etag());
    let response = HttpResponse::Created().insert_header(location).insert_header(etag).json(User::from(user.value));
    Ok(with_replay(with_freshness(response, &freshness), is_replay))
}
