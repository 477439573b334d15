use actix_web::{HttpRequest, HttpResponse, web};

use super::error_responses::{CommonErrors, UserErrors};
use super::user::User;
use crate::domain::Error;
use crate::http::extract::{PathUserId, by_cache_control};
use crate::http::problem::Failure;
use crate::service;
use crate::storage::Storage;

/// Gets one user.
#[utoipa::path(get, path = "/api/v1/users/{id}", tag = "version 1", operation_id = "v1_get_user",
    params(("id" = i64, Path, minimum = 1, description = "The user's id.")),
    responses((status = OK, description = "The user.", body = User), UserErrors, CommonErrors))]
pub(crate) async fn get_user(
    storage: web::Data<Storage>,
    id: PathUserId,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    let found = service::get_user(&storage, id.0, &by_cache_control(request.headers())).await?;
    Ok(HttpResponse::Ok().json(User::from(found.value.ok_or(Error::NotFound)?)))
}
