//! The live page: the service's metrics as moving charts. The binary holds all of it.

use actix_web::http::header::{CONTENT_SECURITY_POLICY, CacheControl, CacheDirective, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

use crate::http::problem::{Failure, Problem};

/// Only the page's own assets. Its scripts set single properties of styles, which no policy forbids.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);
const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

const INDEX: &str = include_str!("live/index.html");

/// A file that the page loads.
struct Asset {
    /// Its name in the page's links.
    name: &'static str,
    content_type: &'static str,
    text: &'static str,
}

const fn asset(name: &'static str, content_type: &'static str, text: &'static str) -> Asset {
    Asset { name, content_type, text }
}

const ASSETS: [Asset; 9] = [
    asset("live.css", CSS, include_str!("live/live.css")),
    asset("live.js", JAVASCRIPT, include_str!("live/live.js")),
    asset("charts.js", JAVASCRIPT, include_str!("live/charts.js")),
    asset("history.js", JAVASCRIPT, include_str!("live/history.js")),
    asset("metrics.js", JAVASCRIPT, include_str!("live/metrics.js")),
    asset("format.js", JAVASCRIPT, include_str!("live/format.js")),
    asset("report.js", JAVASCRIPT, include_str!("live/report.js")),
    asset("uplot.css", CSS, include_str!("live/uplot/uPlot.min.css")),
    asset("uplot.js", JAVASCRIPT, include_str!("live/uplot/uPlot.iife.min.js")),
];

/// Shows the service at work, for people.
///
/// A page with moving charts of requests, latency, batches, queues, refusals and errors.
#[utoipa::path(get, path = "/", tag = "operations", operation_id = "live_page",
    responses((status = OK, description = "The page.", content_type = "text/html", body = String)))]
pub(crate) async fn live_page() -> HttpResponse {
    respond(HTML, INDEX)
}

/// Returns a script or a style of the live page.
#[utoipa::path(get, path = "/live/{file}", tag = "operations", operation_id = "live_page_asset",
    params(("file" = String, Path, example = "live.js")),
    responses(
        (status = OK, description = "The asset.", content((String = "text/javascript"), (String = "text/css"))),
        (status = NOT_FOUND, description = "The page has no such asset.", content_type = "application/problem+json", body = Problem)))]
pub(crate) async fn live_page_asset(request: HttpRequest) -> Result<HttpResponse, Failure> {
    let name = request.match_info().get("file").unwrap_or_default();
    let asset = ASSETS.iter().find(|asset| asset.name == name).ok_or(Failure::RouteNotFound)?;
    Ok(respond(asset.content_type, asset.text))
}

/// Assets of two releases do not fit each other, so a browser has to ask each time.
fn respond(content_type: &str, text: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(content_type)
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header(CacheControl(vec![CacheDirective::NoCache]))
        .body(text)
}
