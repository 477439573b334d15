use actix_web::{HttpRequest, HttpResponse, web};

use super::caller::caller;
use super::error_responses::{CommonErrors, ImportMissingErrors};
use super::import::{Import, failure_of};
use crate::http::extract::PathImportId;
use crate::http::problem::Failure;
use crate::service;
use crate::storage::Storage;

/// Gets how far an import has come.
#[utoipa::path(get, path = "/api/v2/imports/{id}", tag = "version 2", operation_id = "v2_get_import",
    params(("id" = String, Path, description = "The caller's name for the import.", max_length = 100)),
    responses((status = OK, description = "The import.", body = Import), ImportMissingErrors, CommonErrors))]
pub(crate) async fn get_import(
    storage: web::Data<Storage>,
    id: PathImportId,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    let (caller, _) = caller(&request)?;
    let stored = service::get_import(&storage, &caller, &id.0).await.map_err(failure_of)?;
    Ok(HttpResponse::Ok().json(Import::new(&id.0, stored)))
}
