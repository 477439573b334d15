use actix_web::{HttpRequest, HttpResponse, web};

use super::caller::caller;
use super::error_responses::{CommonErrors, ImportErrors, ImportMissingErrors, WriteErrors};
use super::import::failure_of;
use crate::http::extract::PathImportId;
use crate::http::problem::Failure;
use crate::service;
use crate::storage::Storage;

/// Forgets an import. The users that it has stored stay.
#[utoipa::path(delete, path = "/api/v2/imports/{id}", tag = "version 2", operation_id = "v2_delete_import",
    params(("id" = String, Path, description = "The caller's name for the import.", max_length = 100)),
    responses((status = NO_CONTENT, description = "The import is forgotten."),
        ImportErrors, ImportMissingErrors, WriteErrors, CommonErrors))]
pub(crate) async fn delete_import(
    storage: web::Data<Storage>,
    id: PathImportId,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    let (caller, _) = caller(&request)?;
    service::delete_import(&storage, &caller, &id.0).await.map_err(failure_of)?;
    Ok(HttpResponse::NoContent().finish())
}
