use actix_web::{HttpResponse, web};

use super::error_responses::{BodyErrors, CommonErrors, UserErrors, WriteErrors};
use super::user::User;
use crate::domain::Expected;
use crate::http::extract::{Body, PathUserId, UserBody};
use crate::http::problem::Failure;
use crate::service;
use crate::storage::Storage;

/// Replaces a user's name and email.
#[utoipa::path(put, path = "/api/v1/users/{id}", tag = "version 1", operation_id = "v1_update_user",
    params(("id" = i64, Path, minimum = 1, description = "The user's id.")),
    request_body = UserBody,
    responses(
        (status = OK, description = "The updated user.", body = User),
        UserErrors, BodyErrors, WriteErrors, CommonErrors))]
pub(crate) async fn update_user(
    storage: web::Data<Storage>,
    id: PathUserId,
    body: Body<UserBody>,
) -> Result<HttpResponse, Failure> {
    let UserBody { name, email } = body.0;
    let user = service::update_user(&storage, id.0, Expected::AnyVersion, Some(name), Some(email)).await?;
    Ok(HttpResponse::Ok().json(User::from(user.value)))
}
