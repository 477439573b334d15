//! The live page: the service's own numbers as moving charts. All of it is in the binary.

use actix_web::http::header::{CONTENT_SECURITY_POLICY, CacheControl, CacheDirective};
use actix_web::{HttpRequest, HttpResponse};

use super::failure::Failure;
use super::security_headers::LIVE_PAGE;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

const INDEX: &str = include_str!("live/index.html");

/// A part of the page.
struct Asset {
    /// What the page calls it.
    name: &'static str,
    content_type: &'static str,
    text: &'static str,
}

const fn asset(name: &'static str, content_type: &'static str, text: &'static str) -> Asset {
    Asset { name, content_type, text }
}

const ASSETS: [Asset; 8] = [
    asset("live.css", CSS, include_str!("live/live.css")),
    asset("live.js", JAVASCRIPT, include_str!("live/live.js")),
    asset("charts.js", JAVASCRIPT, include_str!("live/charts.js")),
    asset("history.js", JAVASCRIPT, include_str!("live/history.js")),
    asset("metrics.js", JAVASCRIPT, include_str!("live/metrics.js")),
    asset("format.js", JAVASCRIPT, include_str!("live/format.js")),
    asset("uplot.css", CSS, include_str!("live/uplot/uPlot.min.css")),
    asset("uplot.js", JAVASCRIPT, include_str!("live/uplot/uPlot.iife.min.js")),
];

/// A page that shows how the service fares: requests, latency, batches, queues, refusals and errors, as moving charts.
#[utoipa::path(get, path = "/", tag = "operations", operation_id = "live_page",
    responses((status = OK, description = "The page.", content_type = "text/html", body = String)))]
pub(super) async fn page() -> HttpResponse {
    respond(HTML, INDEX)
}

/// What that page consists of: scripts and styles.
#[utoipa::path(get, path = "/live/{file}", tag = "operations", operation_id = "live_page_asset",
    params(("file" = String, Path, example = "live.js")),
    responses(
        (status = OK, description = "The asset.", content((String = "text/javascript"), (String = "text/css"))),
        (status = NOT_FOUND, description = "There is no such asset.", content_type = "application/problem+json", body = super::problem::Problem)))]
pub(super) async fn page_asset(request: HttpRequest) -> Result<HttpResponse, Failure> {
    let name = request.match_info().get("file").unwrap_or_default();
    let asset = ASSETS.iter().find(|asset| asset.name == name).ok_or(Failure::RouteNotFound)?;
    Ok(respond(asset.content_type, asset.text))
}

/// Parts of two releases do not fit each other: a browser asks again each time.
fn respond(content_type: &str, text: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(content_type)
        .insert_header((CONTENT_SECURITY_POLICY, LIVE_PAGE))
        .insert_header(CacheControl(vec![CacheDirective::NoCache]))
        .body(text)
}
