use actix_web::http::header::ETAG;
use actix_web::{HttpRequest, HttpResponse, web};

use super::as_of::with_freshness;
use super::error_responses::{CommonErrors, ConditionErrors, PositionErrors, UserErrors};
use super::etag;
use super::user::{User, user_response};
use crate::domain;
use crate::http::extract::{Fields, PathUserId, freshness};
use crate::http::problem::Failure;
use crate::service;
use crate::storage::Storage;

/// Gets one user.
#[utoipa::path(get, path = "/api/v2/users/{id}", tag = "version 2", operation_id = "v2_get_user",
    params(
        ("fields" = Option<String>, Query, nullable = false, example = "id,name,attributes.department",
            description = "Only these fields of a user, separated by commas; `attributes.NAME` is one of the attributes. By default all."),
        ("id" = i64, Path, minimum = 1, description = "The user's id."),
        ("If-Match" = Option<String>, Header, nullable = false,
            description = "Answer only with one of these versions, named by entity tag; `*` is any version."),
        ("If-None-Match" = Option<String>, Header, nullable = false,
            description = "Answer only with another version than these, named by entity tag; `*` is any version."),
        ("At-Least-Position" = Option<i64>, Header, minimum = 0, nullable = false,
            description = "Show at least all changes up to this `Events-Position`."),
        ("Cache-Control" = Option<String>, Header, nullable = false,
            description = "Where `MAX_STALENESS` is set: `no-cache` refuses a stale answer, `max-stale` allows up to a minute.")),
    responses(
        (status = OK, description = "The user.", body = User,
            headers(("ETag" = String, description = "The user's version."),
                ("Events-Position" = i64, description = "Up to where the log of events was read, or further."),
                ("Age" = u64, description = "How many seconds old the answer may be, if it may be stale."))),
        (status = NOT_MODIFIED, description = "The user still has a version that `If-None-Match` names.",
            headers(("ETag" = String, description = "The user's version."),
                ("Events-Position" = i64, description = "Up to where the log of events was read, or further."),
                ("Age" = u64, description = "How many seconds old the answer may be, if it may be stale."))),
        UserErrors, ConditionErrors, PositionErrors, CommonErrors))]
pub(crate) async fn get_user(
    storage: web::Data<Storage>,
    id: PathUserId,
    fields: Fields,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    let expected = etag::if_match(request.headers())?;
    let is_known = etag::if_none_match(request.headers())?;
    let found = service::get_user(&storage, id.0, &freshness(request.headers())?).await?;
    let freshness = found.freshness();
    let Some(user) = found.transpose() else {
        let failure = Failure::from(domain::Error::NotFound);
        return Ok(with_freshness(HttpResponse::from_error(failure), &freshness));
    };
    let version = user.value.version;
    if !expected.includes(version) {
        return Err(domain::Error::VersionMismatch.into());
    }
    if is_known(version) {
        let response = HttpResponse::NotModified().insert_header((ETAG, version.etag())).finish();
        return Ok(with_freshness(response, &user));
    }
    Ok(user_response(user, fields.0.as_ref()))
}
