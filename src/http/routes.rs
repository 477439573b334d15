//! The route table.

use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};

use super::middleware::{Access, Authorize};
use super::openapi::openapi_json;
use super::problem::Failure;
use super::resource::{delete, get, patch, post, put, resource};
use super::{pages, v1, v2};
use crate::auth::{Gate, Scope};
use crate::metrics::Metrics;

/// The largest body of a batch, in bytes. A thousand creates with the longest names and emails take less, if they are
/// written without escapes.
const MAX_BATCH_BYTES: usize = 1 << 20;

/// Adds the routes to an application, and their metrics to the registry, where they start at zero. Requests that need a
/// token pass the gate.
pub fn routes(config: &mut ServiceConfig, metrics: &Metrics, gate: &Gate) {
    // actix tries one after the other: those that are used most come first.
    let table = [
        resource(
            "/api/v2/users/{id}",
            Access::Users,
            [get(v2::get_user), put(v2::update_user), patch(v2::patch_user), delete(v2::delete_user)],
        ),
        resource("/api/v2/users", Access::Users, [get(v2::list_users), post(v2::create_user)]),
        resource(
            "/api/v1/users/{id}",
            Access::Users,
            [get(v1::get_user), put(v1::update_user), delete(v1::delete_user)],
        ),
        resource("/api/v1/users", Access::Users, [get(v1::list_users), post(v1::create_user)]),
        resource(
            "/api/v2/users:batchGet",
            Access::Batch(Scope::UsersRead),
            [post(v2::batch_get_users).answering(StatusCode::OK)],
        )
        .with_body_of(MAX_BATCH_BYTES),
        resource(
            "/api/v2/users:batchWrite",
            Access::Batch(Scope::UsersWrite),
            [post(v2::batch_write_users).answering(StatusCode::OK)],
        )
        .with_body_of(MAX_BATCH_BYTES),
        resource("/api/v2/events", Access::UsersWhileAuthorized, [get(v2::stream_events)]),
        resource("/api/v2/users:export", Access::UsersWhileAuthorized, [get(v2::export_users)]),
        resource(
            "/api/v2/imports/{id}",
            Access::UsersWhileAuthorized,
            [get(v2::get_import), put(v2::import_users), delete(v2::delete_import)],
        ),
        resource("/health", Access::Open, [get(pages::health)]),
        resource("/livez", Access::Open, [get(pages::health)]),
        resource("/ready", Access::Open, [get(pages::ready)]),
        resource("/readyz", Access::Open, [get(pages::ready)]),
        resource("/metrics", Access::Open, [get(pages::metrics)]),
        resource("/", Access::Open, [get(pages::live_page)]),
        resource("/live/{file}", Access::Open, [get(pages::live_page_asset)]),
        resource("/openapi.json", Access::Open, [get(openapi_json)]),
        resource("/docs", Access::Open, [get(pages::to_swagger_ui).answering(StatusCode::PERMANENT_REDIRECT)]),
        resource("/docs/{file:.*}", Access::Open, [get(pages::swagger_ui)]),
    ];
    for row in table {
        let authorize = Authorize { access: row.access, gate: gate.clone() };
        let metrics = metrics.of_route(row.pattern, &row.successes);
        config.service(row.resource.app_data(metrics).wrap(authorize));
    }
    config.default_service(web::to(|| async { Err::<String, _>(Failure::RouteNotFound) }));
}
