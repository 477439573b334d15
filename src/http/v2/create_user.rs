use actix_web::http::header::{ETAG, LOCATION};
use actix_web::{HttpResponse, web};

use super::User;
use super::failures::{BodyFailures, Failures, JsonFailures, WriteFailures};
use crate::http::body::{Body, UserBody};
use crate::http::failure::Failure;
use crate::service;
use crate::storage::Storage;

/// Creates a user.
#[utoipa::path(post, path = "/api/v2/users", tag = "version 2", operation_id = "v2_create_user",
    request_body = UserBody,
    responses(
        (status = CREATED, description = "Created.", body = User, headers(
            ("Location" = String, description = "Its path."),
            ("ETag" = String, description = "Its version."))),
        BodyFailures, JsonFailures, WriteFailures, Failures))]
pub(in crate::http) async fn create_user(
    storage: web::Data<Storage>,
    body: Body<UserBody>,
) -> Result<HttpResponse, Failure> {
    let UserBody { name, email } = body.0;
    let user = service::create_user(&storage, name, email).await?;
    let location = (LOCATION, format!("/api/v2/users/{}", user.id));
    let etag = (ETAG, user.version.etag());
    Ok(HttpResponse::Created().insert_header(location).insert_header(etag).json(User::from(user)))
}
