use super::failure::Failure;
use super::generated::users::{ListUsersRequest, ListUsersResponse, User};
use crate::domain::{Email, Filter, NamePrefix, PageSize};
use crate::service;
use crate::storage::Storage;

pub(super) async fn list_users(storage: &Storage, request: ListUsersRequest) -> Result<ListUsersResponse, Failure> {
    let ListUsersRequest { page_size, page_token, email, name_prefix, include_total } = request;
    let size = size(page_size)?;
    let filter = filter(email.as_deref(), name_prefix.as_deref())?;
    let page_token = Some(page_token.as_str()).filter(|token| !token.is_empty());
    let list = service::list_users(storage, &filter, size, page_token, include_total).await?;
    Ok(ListUsersResponse {
        users: list.users.into_iter().map(User::from).collect(),
        next_page_token: list.next_page_token.unwrap_or_default(),
        total: list.total,
    })
}

fn size(asked: i32) -> Result<PageSize, Failure> {
    let negative = Failure::InvalidField { field: "page_size", detail: "must not be negative" };
    Ok(PageSize::at_most_max(u64::try_from(asked).map_err(|_| negative)?).unwrap_or(PageSize::DEFAULT))
}

fn filter(email: Option<&str>, name_prefix: Option<&str>) -> Result<Filter, Failure> {
    let email = email.map(Email::parse_to_find).transpose();
    let name_prefix = name_prefix.map(NamePrefix::parse).transpose();
    Ok(Filter {
        email: email.map_err(|error| Failure::InvalidField { field: "email", detail: error.detail })?,
        name_prefix: name_prefix.map_err(|detail| Failure::InvalidField { field: "name_prefix", detail })?,
    })
}
