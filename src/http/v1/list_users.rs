use actix_web::{HttpResponse, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::error_responses::CommonErrors;
use super::user::User;
use crate::domain::PageSize;
use crate::http::extract::Query;
use crate::http::problem::Failure;
use crate::service;
use crate::storage::Storage;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListUsers {
    /// The number of the page. The first page, and the default, is 1.
    #[param(minimum = 1, nullable = false)]
    page: Option<u64>,
    /// How many users a page holds: 1 to 100, by default 20. A larger number counts as 100.
    #[param(minimum = 1, nullable = false)]
    limit: Option<u64>,
}

/// Lists all users by id, page by page.
///
/// A page costs as much as all pages before it. In version 2, every page costs the same.
#[utoipa::path(get, path = "/api/v1/users", tag = "version 1", operation_id = "v1_list_users",
    params(ListUsers),
    responses(
        (status = OK, description = "The users on the page. Beyond the last page, the list is empty.", body = [User]),
        CommonErrors))]
pub(crate) async fn list_users(storage: web::Data<Storage>, query: Query<ListUsers>) -> Result<HttpResponse, Failure> {
    let ListUsers { page, limit } = query.0;
    let size = limit.and_then(PageSize::at_most_max).unwrap_or(PageSize::DEFAULT);
    let offset = i64::try_from(page.unwrap_or(1) - 1).unwrap_or(i64::MAX).saturating_mul(size.get().into());
    let users = service::list_users_by_offset(&storage, offset, size).await?;
    Ok(HttpResponse::Ok().json(Vec::from_iter(users.into_iter().map(User::from))))
}
