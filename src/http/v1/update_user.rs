use actix_web::{HttpResponse, web};

use super::User;
use super::error::{BodyFailures, ErrorBody, Failures, WriteFailures};
use crate::domain::Expected;
use crate::http::body::{Body, UserBody};
use crate::http::failure::Failure;
use crate::http::path::PathId;
use crate::service;
use crate::storage::Storage;

/// Replaces a user's name and email.
#[utoipa::path(put, path = "/api/v1/users/{id}", tag = "version 1", operation_id = "v1_update_user",
    params(("id" = i64, Path, minimum = 1)),
    request_body = UserBody,
    responses(
        (status = OK, description = "The user as it is now.", body = User),
        (status = NOT_FOUND, description = "No user has this id.", body = ErrorBody),
        BodyFailures, WriteFailures, Failures))]
pub(in crate::http) async fn update_user(
    storage: web::Data<Storage>,
    id: PathId,
    body: Body<UserBody>,
) -> Result<HttpResponse, Failure> {
    let UserBody { name, email } = body.0;
    let user = service::update_user(&storage, id.0, Expected::AnyVersion, Some(name), Some(email)).await?;
    Ok(HttpResponse::Ok().json(User::from(user)))
}
