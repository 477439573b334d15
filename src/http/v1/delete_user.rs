use actix_web::{HttpResponse, web};

use super::error_responses::{CommonErrors, KeyErrors, UserErrors, WriteErrors};
use crate::domain::Expected;
use crate::http::extract::{Idempotency, PathUserId, with_replay};
use crate::http::problem::Failure;
use crate::service;
use crate::storage::Storage;

/// Deletes a user.
#[utoipa::path(delete, path = "/api/v1/users/{id}", tag = "version 1", operation_id = "v1_delete_user",
    params(("id" = i64, Path, minimum = 1, description = "The user's id.")),
    responses((status = NO_CONTENT, description = "The user is deleted."), UserErrors, KeyErrors, WriteErrors, CommonErrors))]
pub(crate) async fn delete_user(
    storage: web::Data<Storage>,
    id: PathUserId,
    key: Idempotency,
) -> Result<HttpResponse, Failure> {
    let deleted = service::delete_user(&storage, id.0, Expected::AnyVersion, key.0).await?;
    Ok(with_replay(HttpResponse::NoContent().finish(), deleted.is_replay))
}
