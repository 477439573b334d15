use actix_web::http::header::LINK;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use url::form_urlencoded::Serializer;
use utoipa::ToSchema;

use super::User;
use super::failures::Failures;
use crate::domain::{Email, Filter, NamePrefix, PageSize};
use crate::http::failure::Failure;
use crate::http::query::{Parameters, invalid};
use crate::service;
use crate::storage::Storage;

/// One page of users.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct UserPage {
    users: Vec<User>,
    /// Gets the next page; not there on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next_page_token: Option<String>,
    /// How many users match the filters; only with `include_total=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 0)]
    total: Option<i64>,
}

const PAGE_SIZE: &str = "page_size";
const PAGE_TOKEN: &str = "page_token";
const EMAIL: &str = "email";
const NAME_PREFIX: &str = "name_prefix";
const INCLUDE_TOTAL: &str = "include_total";

/// Lists users, page by page: by id, or with `name_prefix` by name and id. The last page costs what the first one does.
#[utoipa::path(get, path = "/api/v2/users", tag = "version 2", operation_id = "v2_list_users",
    params(
        ("page_size" = Option<u64>, Query, description = "Default 20; more than 100 is 100.", minimum = 1),
        ("page_token" = Option<String>, Query, description = "`next_page_token` of the page before, with the same filters."),
        ("email" = Option<String>, Query, format = IdnEmail, max_length = 254, description = "The user with this email: the domain by UTS 46 (non-transitional), the local part in NFC and whatever its case."),
        ("name_prefix" = Option<String>, Query, max_length = 100, description = "Users whose name starts so, whatever its case and however accents are encoded."),
        ("include_total" = Option<bool>, Query, description = "Counts the users that match.")),
    responses(
        (status = OK, description = "The page.", body = UserPage,
            headers(("Link" = String, description = "The next page, as `<...>; rel=\"next\"` (RFC 8288)."))),
        Failures))]
pub(in crate::http) async fn list_users(
    storage: web::Data<Storage>,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    let known = [PAGE_SIZE, PAGE_TOKEN, EMAIL, NAME_PREFIX, INCLUDE_TOTAL];
    let query = Parameters::parse(request.query_string(), &known)?;
    let size = query.positive(PAGE_SIZE)?.and_then(PageSize::at_most_max).unwrap_or(PageSize::DEFAULT);
    let count = query.flag(INCLUDE_TOTAL)?;
    let filter = filter(&query)?;
    let list = service::list_users(&storage, &filter, size, query.text(PAGE_TOKEN), count).await?;
    let mut response = HttpResponse::Ok();
    if let Some(token) = &list.next_page_token {
        response.insert_header((LINK, next_link(&query, token)));
    }
    let users = list.users.into_iter().map(User::from).collect();
    Ok(response.json(UserPage { users, next_page_token: list.next_page_token, total: list.total }))
}

fn filter(query: &Parameters<'_>) -> Result<Filter, Failure> {
    let email = query.text(EMAIL).map(Email::parse_to_find).transpose();
    let name_prefix = query.text(NAME_PREFIX).map(NamePrefix::parse).transpose();
    Ok(Filter {
        email: email.map_err(|error| invalid(EMAIL, error.detail))?,
        name_prefix: name_prefix.map_err(|detail| invalid(NAME_PREFIX, detail))?,
    })
}

/// A link that asks for the same again, from the token on. It has no host: that is the client's to know.
fn next_link(query: &Parameters<'_>, token: &str) -> String {
    let mut parameters = Serializer::new(String::new());
    for name in [PAGE_SIZE, NAME_PREFIX, INCLUDE_TOTAL] {
        parameters.extend_pairs(query.text(name).map(|value| (name, value)));
    }
    let parameters = parameters.append_pair(PAGE_TOKEN, token).finish();
    format!("</api/v2/users?{parameters}>; rel=\"next\"")
}
