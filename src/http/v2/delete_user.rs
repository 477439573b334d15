use actix_web::{HttpRequest, HttpResponse, web};

use super::as_of::with_freshness;
use super::error_responses::{CommonErrors, ConditionErrors, KeyErrors, UserErrors, WriteErrors};
use super::etag;
use crate::domain::Written;
use crate::http::extract::{Idempotency, PathUserId, with_replay};
use crate::http::problem::Failure;
use crate::service;
use crate::storage::Storage;

/// Deletes a user.
#[utoipa::path(delete, path = "/api/v2/users/{id}", tag = "version 2", operation_id = "v2_delete_user",
    params(
        ("id" = i64, Path, minimum = 1, description = "The user's id."),
        ("If-Match" = Option<String>, Header, nullable = false,
            description = "Delete the user only in one of these versions, named by entity tag; `*` is any version."),
        ("If-None-Match" = Option<String>, Header, nullable = false,
            description = "Only `*`: do nothing if the user exists.")),
    responses(
        (status = NO_CONTENT, description = "The user is deleted.",
            headers(("Events-Position" = i64, description = "A position of the log of events that shows the change."))),
        UserErrors, ConditionErrors, KeyErrors, WriteErrors, CommonErrors))]
pub(crate) async fn delete_user(
    storage: web::Data<Storage>,
    id: PathUserId,
    request: HttpRequest,
    key: Idempotency,
) -> Result<HttpResponse, Failure> {
    let expected = etag::preconditions(request.headers())?;
    let Written { answer, is_replay } = service::delete_user(&storage, id.0, expected, key.0).await?;
    Ok(with_replay(with_freshness(HttpResponse::NoContent().finish(), &answer), is_replay))
}
