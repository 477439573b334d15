use actix_web::{HttpResponse, web};

use super::User;
use super::error::{ErrorBody, Failures};
use crate::http::failure::Failure;
use crate::http::path::PathId;
use crate::service;
use crate::storage::Storage;

/// Gets one user.
#[utoipa::path(get, path = "/api/v1/users/{id}", tag = "version 1", operation_id = "v1_get_user",
    params(("id" = i64, Path, minimum = 1)),
    responses(
        (status = OK, description = "The user.", body = User),
        (status = NOT_FOUND, description = "No user has this id.", body = ErrorBody),
        Failures))]
pub(in crate::http) async fn get_user(storage: web::Data<Storage>, id: PathId) -> Result<HttpResponse, Failure> {
    let user = service::get_user(&storage, id.0).await?;
    Ok(HttpResponse::Ok().json(User::from(user)))
}
