use actix_web::{HttpRequest, HttpResponse, web};

use super::error_responses::{BodyErrors, CommonErrors, ConditionErrors, PatchErrors, UserErrors, WriteErrors};
use super::etag;
use super::user::{User, user_response};
use crate::http::extract::{Body, PathUserId, UserPatch};
use crate::http::problem::Failure;
use crate::service;
use crate::storage::Storage;

/// Updates some fields of a user (merge patch, RFC 7396).
///
/// Even an empty patch is an update, so the version rises.
#[utoipa::path(patch, path = "/api/v2/users/{id}", tag = "version 2", operation_id = "v2_patch_user",
    params(
        ("id" = i64, Path, minimum = 1, description = "The user's id."),
        ("If-Match" = Option<String>, Header, nullable = false,
            description = "Update the user only in one of these versions, named by entity tag; `*` is any version."),
        ("If-None-Match" = Option<String>, Header, nullable = false,
            description = "Only `*`: do nothing if the user exists.")),
    request_body(content = UserPatch, content_type = "application/merge-patch+json"),
    responses(
        (status = OK, description = "The updated user.", body = User,
            headers(("ETag" = String, description = "The user's new version."),
                ("Events-Position" = i64, description = "A position of the log of events that shows the change."))),
        UserErrors, ConditionErrors, BodyErrors, PatchErrors, WriteErrors, CommonErrors))]
pub(crate) async fn patch_user(
    storage: web::Data<Storage>,
    id: PathUserId,
    request: HttpRequest,
    body: Body<UserPatch>,
) -> Result<HttpResponse, Failure> {
    let expected = etag::preconditions(request.headers())?;
    let UserPatch { name, email } = body.0;
    let user = service::update_user(&storage, id.0, expected, name, email).await?;
    Ok(user_response(user))
}
