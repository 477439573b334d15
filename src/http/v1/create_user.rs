use actix_web::http::header::LOCATION;
use actix_web::{HttpResponse, web};

use super::error_responses::{BodyErrors, CommonErrors, KeyErrors, WriteErrors};
use super::user::User;
use crate::domain::{RawProfile, Written};
use crate::http::extract::{Body, Idempotency, NameAndEmail, with_replay};
use crate::http::problem::Failure;
use crate::service;
use crate::storage::Storage;

/// Creates a user.
#[utoipa::path(post, path = "/api/v1/users", tag = "version 1", operation_id = "v1_create_user",
    request_body = NameAndEmail,
    responses(
        (status = CREATED, description = "The new user.", body = User,
            headers(("Location" = String, description = "The user's path."))),
        BodyErrors, KeyErrors, WriteErrors, CommonErrors))]
pub(crate) async fn create_user(
    storage: web::Data<Storage>,
    key: Idempotency,
    body: Body<NameAndEmail>,
) -> Result<HttpResponse, Failure> {
    let NameAndEmail { name, email } = body.0;
    let Written { answer, is_replay } =
        service::create_user(&storage, name, email, RawProfile::unaware(), key.0).await?;
    let location = format!("/api/v1/users/{}", answer.value.id);
    let response = HttpResponse::Created().insert_header((LOCATION, location)).json(User::from(answer.value));
    Ok(with_replay(response, is_replay))
}
