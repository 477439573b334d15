use actix_web::http::header::LOCATION;
use actix_web::{HttpResponse, web};

use super::User;
use super::error::{BodyFailures, Failures, WriteFailures};
use crate::http::body::{Body, UserBody};
use crate::http::failure::Failure;
use crate::service;
use crate::storage::Storage;

/// Creates a user.
#[utoipa::path(post, path = "/api/v1/users", tag = "version 1", operation_id = "v1_create_user",
    request_body = UserBody,
    responses(
        (status = CREATED, description = "Created.", body = User, headers(("Location" = String, description = "Its path."))),
        BodyFailures, WriteFailures, Failures))]
pub(in crate::http) async fn create_user(
    storage: web::Data<Storage>,
    body: Body<UserBody>,
) -> Result<HttpResponse, Failure> {
    let UserBody { name, email } = body.0;
    let user = service::create_user(&storage, name, email).await?;
    let location = format!("/api/v1/users/{}", user.id);
    Ok(HttpResponse::Created().insert_header((LOCATION, location)).json(User::from(user)))
}
