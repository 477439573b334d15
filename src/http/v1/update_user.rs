use actix_web::{HttpResponse, web};

use super::error_responses::{BodyErrors, CommonErrors, KeyErrors, UserErrors, WriteErrors};
use super::user::User;
use crate::domain::{Expected, RawProfile, Written};
use crate::http::extract::{Body, Idempotency, NameAndEmail, PathUserId, with_replay};
use crate::http::problem::Failure;
use crate::service;
use crate::storage::Storage;

/// Replaces a user's name and email.
#[utoipa::path(put, path = "/api/v1/users/{id}", tag = "version 1", operation_id = "v1_update_user",
    params(("id" = i64, Path, minimum = 1, description = "The user's id.")),
    request_body = NameAndEmail,
    responses(
        (status = OK, description = "The updated user.", body = User),
        UserErrors, BodyErrors, KeyErrors, WriteErrors, CommonErrors))]
pub(crate) async fn update_user(
    storage: web::Data<Storage>,
    id: PathUserId,
    key: Idempotency,
    body: Body<NameAndEmail>,
) -> Result<HttpResponse, Failure> {
    let NameAndEmail { name, email } = body.0;
    let Written { answer, is_replay } = service::update_user(
        &storage,
        id.0,
        Expected::AnyVersion,
        Some(name),
        Some(email),
        RawProfile::unaware(),
        key.0,
    )
    .await?;
    Ok(with_replay(HttpResponse::Ok().json(User::from(answer.value)), is_replay))
}
