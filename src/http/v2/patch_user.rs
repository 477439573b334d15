use actix_web::{HttpRequest, HttpResponse, web};

use super::error_responses::{BodyErrors, CommonErrors, ConditionErrors, PatchErrors, UserErrors, WriteErrors};
use super::etag;
use super::user::{User, user_response};
use crate::domain::Written;
use crate::http::extract::{Body, Idempotency, PathUserId, UserPatch, with_replay};
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
    key: Idempotency,
    body: Body<UserPatch>,
) -> Result<HttpResponse, Failure> {
    let expected = etag::preconditions(request.headers())?;
    let (name, email, profile) = body.0.into_parts();
    let Written { answer, is_replay } =
        service::update_user(&storage, id.0, expected, name, email, profile, key.0).await?;
    Ok(with_replay(user_response(answer, None), is_replay))
}
