//! Every route at a glance.

use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};

use super::authorize::{Access, Authorize};
use super::failure::Failure;
use super::resource::{delete, get, patch, post, put, resource};
use super::{docs, health, live, v1, v2};
use crate::auth::Gate;
use crate::metrics::Metrics;

/// Adds the routes to an application, and their metrics, at zero, to the registry. What is not open to
/// everybody is behind the gate.
pub fn routes(config: &mut ServiceConfig, metrics: &Metrics, gate: &Gate) {
    let table = [
        resource("/api/v1/users", Access::Users, [get(v1::list_users), post(v1::create_user)]),
        resource(
            "/api/v1/users/{id}",
            Access::Users,
            [get(v1::get_user), put(v1::update_user), delete(v1::delete_user)],
        ),
        resource("/api/v2/users", Access::Users, [get(v2::list_users), post(v2::create_user)]),
        resource(
            "/api/v2/users/{id}",
            Access::Users,
            [get(v2::get_user), put(v2::update_user), patch(v2::patch_user), delete(v2::delete_user)],
        ),
        resource("/api/v2/events", Access::UsersWhileAuthorized, [get(v2::stream_events)]),
        resource("/health", Access::Open, [get(health::health)]),
        resource("/livez", Access::Open, [get(health::health)]),
        resource("/ready", Access::Open, [get(health::ready)]),
        resource("/readyz", Access::Open, [get(health::ready)]),
        resource("/metrics", Access::Open, [get(health::metrics)]),
        resource("/", Access::Open, [get(live::page)]),
        resource("/live/{file}", Access::Open, [get(live::page_asset)]),
        resource("/openapi.json", Access::Open, [get(docs::openapi_json)]),
        resource("/docs", Access::Open, [get(docs::to_swagger_ui).answering(StatusCode::PERMANENT_REDIRECT)]),
        resource("/docs/{file:.*}", Access::Open, [get(docs::swagger_ui)]),
    ];
    for entry in table {
        let authorize = Authorize { access: entry.access, gate: gate.clone() };
        let metrics = metrics.of_route(entry.pattern, &entry.successes);
        config.service(entry.resource.app_data(metrics).wrap(authorize));
    }
    config.default_service(web::to(|| async { Err::<String, _>(Failure::RouteNotFound) }));
}
