//! Every route at a glance.

use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};

use super::resource::{delete, get, patch, post, put, resource};
use super::{docs, failure::Failure, health, v1, v2};
use crate::metrics::Metrics;

/// Adds the routes to an application, and their metrics, at zero, to the registry.
pub fn routes(config: &mut ServiceConfig, metrics: &Metrics) {
    let table = [
        resource("/api/v1/users", [get(v1::list_users), post(v1::create_user)]),
        resource("/api/v1/users/{id}", [get(v1::get_user), put(v1::update_user), delete(v1::delete_user)]),
        resource("/api/v2/users", [get(v2::list_users), post(v2::create_user)]),
        resource(
            "/api/v2/users/{id}",
            [get(v2::get_user), put(v2::update_user), patch(v2::patch_user), delete(v2::delete_user)],
        ),
        resource("/health", [get(health::health)]),
        resource("/livez", [get(health::health)]),
        resource("/ready", [get(health::ready)]),
        resource("/readyz", [get(health::ready)]),
        resource("/metrics", [get(health::metrics)]),
        resource("/openapi.json", [get(docs::openapi_json)]),
        resource("/docs", [get(docs::to_swagger_ui).answering(StatusCode::PERMANENT_REDIRECT)]),
        resource("/docs/{file:.*}", [get(docs::swagger_ui)]),
    ];
    for entry in table {
        config.service(entry.resource.app_data(metrics.of_route(entry.pattern, &entry.successes)));
    }
    config.default_service(web::to(|| async { Err::<String, _>(Failure::RouteNotFound) }));
}
