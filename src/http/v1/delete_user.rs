use actix_web::{HttpResponse, web};

use super::error_responses::{CommonErrors, UserErrors, WriteErrors};
use crate::domain::Expected;
use crate::http::extract::PathUserId;
use crate::http::problem::Failure;
use crate::service;
use crate::storage::Storage;

/// Deletes a user.
#[utoipa::path(delete, path = "/api/v1/users/{id}", tag = "version 1", operation_id = "v1_delete_user",
    params(("id" = i64, Path, minimum = 1, description = "The user's id.")),
    responses((status = NO_CONTENT, description = "The user is deleted."), UserErrors, WriteErrors, CommonErrors))]
pub(crate) async fn delete_user(storage: web::Data<Storage>, id: PathUserId) -> Result<HttpResponse, Failure> {
    service::delete_user(&storage, id.0, Expected::AnyVersion).await?;
    Ok(HttpResponse::NoContent().finish())
}
