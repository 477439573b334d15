use actix_web::{HttpRequest, HttpResponse, web};

use super::error_responses::{BodyErrors, CommonErrors, ConditionErrors, JsonErrors, UserErrors, WriteErrors};
use super::etag;
use super::user::{User, user_response};
use crate::domain::Written;
use crate::http::extract::{Body, Idempotency, PathUserId, UserBody, with_replay};
use crate::http::problem::Failure;
use crate::service;
use crate::storage::Storage;

/// Replaces a user's name and email, and each of the other fields that the body has.
///
/// A field that is missing stays as it is, so clients that do not know it keep it. Null removes it.
#[utoipa::path(put, path = "/api/v2/users/{id}", tag = "version 2", operation_id = "v2_update_user",
    params(
        ("id" = i64, Path, minimum = 1, description = "The user's id."),
        ("If-Match" = Option<String>, Header, nullable = false,
            description = "Update the user only in one of these versions, named by entity tag; `*` is any version."),
        ("If-None-Match" = Option<String>, Header, nullable = false,
            description = "Only `*`: do nothing if the user exists.")),
    request_body = UserBody,
    responses(
        (status = OK, description = "The updated user.", body = User,
            headers(("ETag" = String, description = "The user's new version."),
                ("Events-Position" = i64, description = "A position of the log of events that shows the change."))),
        UserErrors, ConditionErrors, BodyErrors, JsonErrors, WriteErrors, CommonErrors))]
pub(crate) async fn update_user(
    storage: web::Data<Storage>,
    id: PathUserId,
    request: HttpRequest,
    key: Idempotency,
    body: Body<UserBody>,
) -> Result<HttpResponse, Failure> {
    let expected = etag::preconditions(request.headers())?;
    let (name, email, profile) = body.0.into_parts();
    let Written { answer, is_replay } =
        service::update_user(&storage, id.0, expected, Some(name), Some(email), profile, key.0).await?;
    Ok(with_replay(user_response(answer, None), is_replay))
}
