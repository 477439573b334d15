use actix_web::{HttpRequest, HttpResponse, web};

use super::etag;
use super::failures::{ConditionFailures, Failures, UserFailures, WriteFailures};
use crate::http::failure::Failure;
use crate::http::path::PathId;
use crate::service;
use crate::storage::Storage;

/// Deletes a user.
#[utoipa::path(delete, path = "/api/v2/users/{id}", tag = "version 2", operation_id = "v2_delete_user",
    params(
        ("id" = i64, Path, minimum = 1),
        ("If-Match" = Option<String>, Header, nullable = false,
            description = "The ETag of the version to delete, or `*` for any."),
        ("If-None-Match" = Option<String>, Header, nullable = false,
            description = "`*`: do nothing to a user that exists.")),
    responses(
        (status = NO_CONTENT, description = "Deleted."),
        UserFailures, ConditionFailures, WriteFailures, Failures))]
pub(in crate::http) async fn delete_user(
    storage: web::Data<Storage>,
    id: PathId,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    let expected = etag::preconditions(request.headers())?;
    service::delete_user(&storage, id.0, expected).await?;
    Ok(HttpResponse::NoContent().finish())
}
