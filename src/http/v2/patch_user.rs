use actix_web::{HttpRequest, HttpResponse, web};

use super::failures::{BodyFailures, ConditionFailures, Failures, PatchFailures, UserFailures, WriteFailures};
use super::{User, etag, user_response};
use crate::http::body::{Body, UserPatch};
use crate::http::failure::Failure;
use crate::http::path::PathId;
use crate::service;
use crate::storage::Storage;

/// Changes some fields of a user (RFC 7396). Even an empty patch raises the version.
#[utoipa::path(patch, path = "/api/v2/users/{id}", tag = "version 2", operation_id = "v2_patch_user",
    params(
        ("id" = i64, Path, minimum = 1),
        ("If-Match" = Option<String>, Header, nullable = false,
            description = "The ETag of the version to change, or `*` for any."),
        ("If-None-Match" = Option<String>, Header, nullable = false,
            description = "`*`: do nothing to a user that exists.")),
    request_body(content = UserPatch, content_type = "application/merge-patch+json"),
    responses(
        (status = OK, description = "The user as it is now.", body = User,
            headers(("ETag" = String, description = "Its new version."))),
        UserFailures, ConditionFailures, BodyFailures, PatchFailures, WriteFailures, Failures))]
pub(in crate::http) async fn patch_user(
    storage: web::Data<Storage>,
    id: PathId,
    request: HttpRequest,
    body: Body<UserPatch>,
) -> Result<HttpResponse, Failure> {
    let expected = etag::preconditions(request.headers())?;
    let UserPatch { name, email } = body.0;
    let user = service::update_user(&storage, id.0, expected, name, email).await?;
    Ok(user_response(user))
}
