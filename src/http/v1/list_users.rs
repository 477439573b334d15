use actix_web::{HttpRequest, HttpResponse, web};

use super::User;
use super::error::Failures;
use crate::domain::PageSize;
use crate::http::failure::Failure;
use crate::http::query::Parameters;
use crate::service;
use crate::storage::Storage;

/// Lists all users by id, page by page. Far pages cost as much as what they skip: version 2 has none of that.
#[utoipa::path(get, path = "/api/v1/users", tag = "version 1", operation_id = "v1_list_users",
    params(
        ("page" = Option<u64>, Query, description = "From 1; default 1.", minimum = 1),
        ("limit" = Option<u64>, Query, description = "Users on a page; default 20, more than 100 is 100.", minimum = 1)),
    responses((status = OK, description = "The users of the page; none beyond the last one.", body = [User]), Failures))]
pub(in crate::http) async fn list_users(
    storage: web::Data<Storage>,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    let query = Parameters::parse(request.query_string(), &["page", "limit"])?;
    let page = query.positive("page")?.unwrap_or(1);
    let size = query.positive("limit")?.and_then(PageSize::at_most_max).unwrap_or(PageSize::DEFAULT);
    let offset = i64::try_from(page - 1).unwrap_or(i64::MAX).saturating_mul(size.get().into());
    let users = service::list_users_by_offset(&storage, offset, size).await?;
    Ok(HttpResponse::Ok().json(Vec::from_iter(users.into_iter().map(User::from))))
}
