use actix_web::{HttpResponse, web};

use super::error::{ErrorBody, Failures, WriteFailures};
use crate::domain::Expected;
use crate::http::failure::Failure;
use crate::http::path::PathId;
use crate::service;
use crate::storage::Storage;

/// Deletes a user.
#[utoipa::path(delete, path = "/api/v1/users/{id}", tag = "version 1", operation_id = "v1_delete_user",
    params(("id" = i64, Path, minimum = 1)),
    responses(
        (status = NO_CONTENT, description = "Deleted."),
        (status = NOT_FOUND, description = "No user has this id.", body = ErrorBody),
        WriteFailures, Failures))]
pub(in crate::http) async fn delete_user(storage: web::Data<Storage>, id: PathId) -> Result<HttpResponse, Failure> {
    service::delete_user(&storage, id.0, Expected::AnyVersion).await?;
    Ok(HttpResponse::NoContent().finish())
}
