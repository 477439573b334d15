use actix_web::{HttpRequest, HttpResponse, web};

use super::failures::{BodyFailures, ConditionFailures, Failures, JsonFailures, UserFailures, WriteFailures};
use super::{User, etag, user_response};
use crate::http::body::{Body, UserBody};
use crate::http::failure::Failure;
use crate::http::path::PathId;
use crate::service;
use crate::storage::Storage;

/// Replaces a user's name and email.
#[utoipa::path(put, path = "/api/v2/users/{id}", tag = "version 2", operation_id = "v2_update_user",
    params(
        ("id" = i64, Path, minimum = 1),
        ("If-Match" = Option<String>, Header, nullable = false,
            description = "The ETag of the version to update, or `*` for any."),
        ("If-None-Match" = Option<String>, Header, nullable = false,
            description = "`*`: do nothing to a user that exists.")),
    request_body = UserBody,
    responses(
        (status = OK, description = "The user as it is now.", body = User,
            headers(("ETag" = String, description = "Its new version."))),
        UserFailures, ConditionFailures, BodyFailures, JsonFailures, WriteFailures, Failures))]
pub(in crate::http) async fn update_user(
    storage: web::Data<Storage>,
    id: PathId,
    request: HttpRequest,
    body: Body<UserBody>,
) -> Result<HttpResponse, Failure> {
    let expected = etag::preconditions(request.headers())?;
    let UserBody { name, email } = body.0;
    let user = service::update_user(&storage, id.0, expected, Some(name), Some(email)).await?;
    Ok(user_response(user))
}
