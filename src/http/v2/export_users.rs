use std::collections::BTreeMap;
use std::convert::Infallible;

use actix_web::http::header::{CONTENT_TYPE, ContentEncoding, HeaderValue, VARY};
use actix_web::http::{ConnectionType, Method, Version};
use actix_web::web::Bytes;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, HttpResponseBuilder, web};
use futures_util::stream;
use serde::Deserialize;
use utoipa::IntoParams;

use super::error_responses::{AcceptErrors, CommonErrors};
use super::export_body::ExportBody;
use super::list_users::{attribute_filters, email, external_id, name_prefix, status};
use crate::auth::Bearer;
use crate::domain::{self, EmailKey, ExternalId, Filter, NamePrefix, Status};
use crate::events::Feed;
use crate::http::extract::{Query, RESUME_AFTER, StatusName, accepts_gzip, preferred_type};
use crate::http::problem::Failure;
use crate::net::Draining;
use crate::service::{self, Exports};
use crate::storage::Storage;
use crate::transfer::{Encoder, Format};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExportUsers {
    /// Only the user with this email, as in a list.
    #[serde(default, deserialize_with = "email")]
    #[param(value_type = Option<String>, nullable = false, format = IdnEmail, max_length = 254)]
    email: Option<EmailKey>,
    /// Only users whose name starts with this, as in a list.
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
}

/// Exports all users.
///
/// The answer is NDJSON, or CSV if `Accept` prefers that, and ends with the number of users. One without that end is not whole.
/// Changes that are made meanwhile may or may not be in it: the live stream after `Resume-After` has all of them.
#[utoipa::path(get, path = "/api/v2/users:export", tag = "version 2", operation_id = "v2_export_users",
    params(ExportUsers),
    responses(
        (status = OK, description = "The users.", content((String = "application/x-ndjson"), (String = "text/csv")),
            headers(("Resume-After" = i64, description = "The `Last-Event-ID` with which the live stream goes on."))),
        AcceptErrors, CommonErrors))]
pub(crate) async fn export_users(
    exports: Option<web::Data<Exports>>,
    storage: web::Data<Storage>,
    feed: web::Data<Feed>,
    draining: web::Data<Draining>,
    query: Query<ExportUsers>,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    // AWS Lambda passes on whole responses only, and bounds them.
    let exports = exports.ok_or(Failure::RouteNotFound)?;
    let format = format(&request)?;
    let gzip = accepts_gzip(&request);
    let mut response = head(format, gzip);
    if *request.method() == Method::HEAD {
        // actix does not send the body of this response, but waits for its end.
        return Ok(response.streaming(stream::empty::<Result<Bytes, Infallible>>()));
    }
    // It would be cut at once.
    if draining.is_draining() {
        return Err(domain::Error::Overloaded.into());
    }
    let permit = exports.admit()?;
    let from = feed.watermark().await?;
    let ExportUsers { email, name_prefix, external_id, status, attributes } = query.0;
    let attributes = attribute_filters(&storage, attributes)?;
    let filter = Filter { email, name_prefix, external_id, status, attributes, order: None };
    let page = service::export_users(&storage, filter, from).await?;
    let encoder = Encoder::new(format, gzip).map_err(|error| internal(&error))?;
    let time_left = request.extensions().get::<Bearer>().map(Bearer::time_left).unwrap_or_default();
    let body = ExportBody::new(encoder, page, permit, Draining::clone(&draining), time_left);
    response.insert_header((RESUME_AFTER, HeaderValue::from(from.position().0)));
    let mut response = response.streaming(body.into_stream());
    if request.version() < Version::HTTP_11 {
        // HTTP/1.0 has no chunked coding (RFC 9112, 6.1): the end of the connection is the end of the body.
        response.head_mut().no_chunking(true);
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}

fn format(request: &HttpRequest) -> Result<Format, Failure> {
    let offered = Format::ALL.map(|format| (format, format.media_type()));
    preferred_type(request, &offered).ok_or(Failure::NotAcceptable { offered: "application/x-ndjson or text/csv" })
}

fn head(format: Format, gzip: bool) -> HttpResponseBuilder {
    const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");
    const CSV: HeaderValue = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
    let content_type = match format {
        Format::Ndjson => NDJSON,
        Format::Csv => CSV,
    };
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, content_type)).insert_header((VARY, "accept, accept-encoding"));
    if gzip {
        response.insert_header(ContentEncoding::Gzip);
    }
    response
}

fn internal(error: &std::io::Error) -> Failure {
    log::error!("cannot begin an export: {error}");
    domain::Error::Internal.into()
}
