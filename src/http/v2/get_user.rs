use actix_web::http::header::ETAG;
use actix_web::{HttpRequest, HttpResponse, web};

use super::failures::{ConditionFailures, Failures, UserFailures};
use super::{User, etag, user_response};
use crate::domain;
use crate::http::failure::Failure;
use crate::http::path::PathId;
use crate::service;
use crate::storage::Storage;

/// Gets one user.
#[utoipa::path(get, path = "/api/v2/users/{id}", tag = "version 2", operation_id = "v2_get_user",
    params(
        ("id" = i64, Path, minimum = 1),
        ("If-Match" = Option<String>, Header, nullable = false,
            description = "The ETags of the versions that will do, or `*`."),
        ("If-None-Match" = Option<String>, Header, nullable = false,
            description = "The ETags of the versions that the caller has, or `*`.")),
    responses(
        (status = OK, description = "The user.", body = User, headers(("ETag" = String, description = "Its version."))),
        (status = NOT_MODIFIED, description = "The caller has this version.",
            headers(("ETag" = String, description = "Its version."))),
        UserFailures, ConditionFailures, Failures))]
pub(in crate::http) async fn get_user(
    storage: web::Data<Storage>,
    id: PathId,
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
