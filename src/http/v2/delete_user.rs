use actix_web::{HttpRequest, HttpResponse, web};

use super::as_of::with_freshness;
use super::error_responses::{CommonErrors, ConditionErrors, UserErrors, WriteErrors};
use super::etag;
use crate::http::extract::PathUserId;
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
        UserErrors, ConditionErrors, WriteErrors, CommonErrors))]
pub(crate) async fn delete_user(
    storage: web::Data<Storage>,
    id: PathUserId,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    let expected = etag::preconditions(request.headers())?;
    let deleted = service::delete_user(&storage, id.0, expected).await?;
    Ok(with_freshness(HttpResponse::NoContent().finish(), &deleted))
}
