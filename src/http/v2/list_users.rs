use std::collections::BTreeMap;

use actix_web::http::header::LINK;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Deserializer, Serialize};
use url::form_urlencoded::{self, Serializer};
use utoipa::{IntoParams, ToSchema};

use super::as_of::with_freshness;
use super::error_responses::{CommonErrors, PositionErrors};
use super::user::{ShownUser, User};
use crate::domain::{
    AttributeFilter, Email, EmailKey, ExternalId, FieldMask, Filter, NamePrefix, Order, PageSize, Status,
};
use crate::http::extract::{Query, StatusName, fields, freshness, parse_text};
use crate::http::problem::Failure;
use crate::service;
use crate::storage::Storage;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListUsers {
    /// How many users a page holds: 1 to 100, by default 20. A larger number counts as 100.
    #[param(minimum = 1, nullable = false)]
    page_size: Option<u64>,
    /// The `next_page_token` of the page before. The filters must be the same.
    #[param(nullable = false)]
    page_token: Option<String>,
    /// Whether to count all users that match the filters.
    #[serde(default)]
    #[param(value_type = Option<bool>, nullable = false)]
    include_total: bool,
    /// Only the user with this email. The domain is compared by UTS 46 (non-transitional), the local part in NFC and
    /// regardless of case.
    #[serde(default, deserialize_with = "email")]
    #[param(value_type = Option<String>, nullable = false, format = IdnEmail, max_length = 254)]
    email: Option<EmailKey>,
    /// Only users whose name starts with this, regardless of case and of how accents are encoded.
    #[serde(default, deserialize_with = "name_prefix")]
    #[param(value_type = Option<String>, nullable = false, max_length = 100)]
    name_prefix: Option<NamePrefix>,
    /// Only the user with this external id.
    #[serde(default, deserialize_with = "external_id")]
    #[param(value_type = Option<String>, nullable = false, min_length = 1, max_length = 255)]
    external_id: Option<ExternalId>,
    /// Only users with this status.
    #[serde(default, deserialize_with = "status")]
    #[param(value_type = Option<StatusName>, nullable = false, inline)]
    status: Option<Status>,
    /// Filters by attribute: names and values.
    #[serde(default, rename = "attributes.")]
    #[param(ignore)]
    attributes: BTreeMap<String, String>,
    /// The order: `id` (in which users were created), `name` or `email`, with a `-` before it for the reverse. By default
    /// `id`, or with `name_prefix` `name`.
    #[serde(default, deserialize_with = "order")]
    #[param(value_type = Option<String>, nullable = false, example = "-id")]
    order_by: Option<Order>,
    /// Only these fields of each user, separated by commas; `attributes.NAME` is one of the attributes. By default all.
    #[serde(default, deserialize_with = "fields")]
    #[param(value_type = Option<String>, nullable = false, example = "id,name,attributes.department")]
    fields: Option<FieldMask>,
}

pub(super) fn email<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<EmailKey>, D::Error> {
    parse_text(deserializer, |text| Email::parse_to_find(text).map_err(|error| error.detail)).map(Some)
}

pub(super) fn name_prefix<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<NamePrefix>, D::Error> {
    parse_text(deserializer, NamePrefix::parse).map(Some)
}

pub(super) fn external_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ExternalId>, D::Error> {
    parse_text(deserializer, |text| ExternalId::parse(text.to_owned()).map_err(|error| error.detail)).map(Some)
}

pub(super) fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Status>, D::Error> {
    parse_text(deserializer, |text| Status::parse(text).map_err(|error| error.detail)).map(Some)
}

/// Parses filters by attribute.
pub(super) fn attribute_filters(
    storage: &Storage,
    asked: BTreeMap<String, String>,
) -> Result<Vec<AttributeFilter>, Failure> {
    AttributeFilter::parse_all(asked, storage.attributes_indexed()).map_err(|error| Failure::InvalidQuery {
        parameter: format!("attributes.{}", error.name.chars().take(32).collect::<String>()),
        detail: error.detail.into(),
    })
}

fn order<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Order>, D::Error> {
    parse_text(deserializer, Order::parse).map(Some)
}

/// One page of users.
#[derive(Serialize, ToSchema)]
pub(crate) struct UserPage {
    #[schema(value_type = Vec<User>)]
    users: Vec<ShownUser>,
    /// The `page_token` for the next page. The last page has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next_page_token: Option<String>,
    /// How many users match the filters, if the request has `include_total=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 0)]
    total: Option<i64>,
}

/// Lists users, page by page.
///
/// Every page costs the same, the last one too. With several filters, or with one in another order than its own (`name_prefix`
/// by name, attributes by id), a page may hold fewer users than asked for and not be the last: that is the one without
/// `next_page_token`.
#[utoipa::path(get, path = "/api/v2/users", tag = "version 2", operation_id = "v2_list_users",
    params(ListUsers,
        ("At-Least-Position" = Option<i64>, Header, minimum = 0, nullable = false,
            description = "Show at least all changes up to this `Events-Position`."),
        ("Cache-Control" = Option<String>, Header, nullable = false,
            description = "Where `MAX_STALENESS` is set: `no-cache` refuses a stale answer, `max-stale` allows up to a minute.")),
    responses(
        (status = OK, description = "The page.", body = UserPage,
            headers(("Link" = String, description = "The next page, as `<...>; rel=\"next\"` (RFC 8288)."),
                ("Events-Position" = i64, description = "Up to where the log of events was read, or further."),
                ("Age" = u64, description = "How many seconds old the answer may be, if it may be stale."))),
        PositionErrors, CommonErrors))]
pub(crate) async fn list_users(
    storage: web::Data<Storage>,
    query: Query<ListUsers>,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    let ListUsers {
        page_size,
        page_token,
        include_total,
        email,
        name_prefix,
        external_id,
        status,
        attributes,
        order_by: order,
        fields,
    } = query.0;
    let size = page_size.and_then(PageSize::at_most_max).unwrap_or(PageSize::DEFAULT);
    let attributes = attribute_filters(&storage, attributes)?;
    let filter = Filter { email, name_prefix, external_id, status, attributes, order };
    if include_total {
        let invalid =
            |detail: &'static str| Failure::InvalidQuery { parameter: "include_total".into(), detail: detail.into() };
        filter.check_count().map_err(invalid)?;
    }
    let fresh = freshness(request.headers())?;
    let list = service::list_users(&storage, &filter, size, page_token.as_deref(), include_total, &fresh).await?;
    let freshness = list.freshness();
    let list = list.value;
    let mut response = HttpResponse::Ok();
    if let Some(token) = &list.next_page_token {
        response.insert_header((LINK, next_link(request.query_string(), token)));
    }
    let users = list.users.into_iter().map(|user| ShownUser::new(user, fields.as_ref())).collect();
    let page = UserPage { users, next_page_token: list.next_page_token, total: list.total };
    Ok(with_freshness(response.json(page), &freshness))
}

/// A link that repeats the parameters of this query, but for the token. It has no host, because only the client knows
/// which name the service has for it.
fn next_link(query: &str, token: &str) -> String {
    let mut parameters = Serializer::new(String::new());
    for name in ["page_size", "name_prefix", "status", "attributes.", "order_by", "fields", "include_total"] {
        let asked = form_urlencoded::parse(query.as_bytes());
        parameters
            .extend_pairs(asked.filter(|(other, _)| other == name || (name.ends_with('.') && other.starts_with(name))));
    }
    let parameters = parameters.append_pair("page_token", token).finish();
    format!("</api/v2/users?{parameters}>; rel=\"next\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_repeats_what_was_asked_for() {
        let link = |query| next_link(query, "t");
        assert_eq!(link(""), "</api/v2/users?page_token=t>; rel=\"next\"");
        assert_eq!(
            link("&page_token=s&include_total=true&&name_prefix=%c3%a9+%26&page_size=007"),
            "</api/v2/users?page_size=007&name_prefix=%C3%A9+%26&include_total=true&page_token=t>; rel=\"next\""
        );
        assert_eq!(
            link("attributes.b=%26&attributesx=1&attributes.a=1"),
            "</api/v2/users?attributes.b=%26&attributes.a=1&page_token=t>; rel=\"next\""
        );
        assert_eq!(link("name_prefix"), "</api/v2/users?name_prefix=&page_token=t>; rel=\"next\"");
    }
}
