use actix_web::http::header::ETAG;
use actix_web::{HttpRequest, HttpResponse, web};

use super::error_responses::{CommonErrors, ConditionErrors, UserErrors};
use super::etag;
use super::user::{User, user_response};
use crate::domain;
use crate::http::extract::PathUserId;
use crate::http::problem::Failure;
use crate::service;
use crate::storage::Storage;

/// Gets one user.
#[utoipa::path(get, path = "/api/v2/users/{id}", tag = "version 2", operation_id = "v2_get_user",
    params(
        ("id" = i64, Path, minimum = 1, description = "The user's id."),
        ("If-Match" = Option<String>, Header, nullable = false,
            description = "Answer only with one of these versions, named by entity tag; `*` is any version."),
        ("If-None-Match" = Option<String>, Header, nullable = false,
            description = "Answer only with another version than these, named by entity tag; `*` is any version.")),
    responses(
        (status = OK, description = "The user.", body = User,
            headers(("ETag" = String, description = "The user's version."))),
        (status = NOT_MODIFIED, description = "The user still has a version that `If-None-Match` names.",
            headers(("ETag" = String, description = "The user's version."))),
        UserErrors, ConditionErrors, CommonErrors))]
pub(crate) async fn get_user(
    storage: web::Data<Storage>,
    id: PathUserId,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    let expected = etag::if_match(request.headers())?;
    let is_known = etag::if_none_match(request.headers())?;
    let user = service::get_user(&storage, id.0).await?;
    if !expected.includes(user.version) {
        return Err(domain::Error::VersionMismatch.into());
    }
    if is_known(user.version) {
        return Ok(HttpResponse::NotModified().insert_header((ETAG, user.version.etag())).finish());
    }
    Ok(user_response(user))
}
