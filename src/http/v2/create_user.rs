use actix_web::http::header::{ETAG, LOCATION};
use actix_web::{HttpResponse, web};

use super::error_responses::{BodyErrors, CommonErrors, JsonErrors, WriteErrors};
use super::user::User;
use crate::http::extract::{Body, UserBody};
use crate::http::problem::Failure;
use crate::service;
use crate::storage::Storage;

/// Creates a user.
#[utoipa::path(post, path = "/api/v2/users", tag = "version 2", operation_id = "v2_create_user",
    request_body = UserBody,
    responses(
        (status = CREATED, description = "The new user.", body = User, headers(
            ("Location" = String, description = "The user's path."),
            ("ETag" = String, description = "The user's version."))),
        BodyErrors, JsonErrors, WriteErrors, CommonErrors))]
pub(crate) async fn create_user(storage: web::Data<Storage>, body: Body<UserBody>) -> Result<HttpResponse, Failure> {
    let UserBody { name, email } = body.0;
    let user = service::create_user(&storage, name, email).await?;
    let location = (LOCATION, format!("/api/v2/users/{}", user.id));
    let etag = (ETAG, user.version.etag());
    Ok(HttpResponse::Created().insert_header(location).insert_header(etag).json(User::from(user)))
}
