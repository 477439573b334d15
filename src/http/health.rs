//! What orchestrators and monitors ask.

use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::Timestamp;
use crate::metrics::{CONTENT_TYPE, Metrics};
use crate::net::Draining;
use crate::storage::{Readiness, Storage};

/// The process runs and answers.
#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    #[schema(example = "healthy")]
    status: &'static str,
    /// Now, RFC 3339.
    #[schema(value_type = String, format = DateTime)]
    timestamp: String,
}

/// Whether the process runs and answers. Never touches the database.
#[utoipa::path(get, path = "/health", tag = "operations",
    responses((status = OK, description = "It does.", body = Health)))]
pub(super) async fn health() -> HttpResponse {
    HttpResponse::Ok().json(Health { status: "healthy", timestamp: Timestamp::now().to_string() })
}

/// Whether requests can be served.
#[derive(Serialize, ToSchema)]
#[schema(as = Ready)]
pub(super) struct ReadyBody {
    ready: bool,
    /// What stands in the way: `database`, `migrations`, `read_only`, `encoding`, `schema`, `file` or `shutdown`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    failing: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    detail: Option<&'static str>,
}

/// Whether requests can be served: the database answers, takes changes, can store every name and has the schema that is
/// needed, SQLite's file is where it was, and the service is not shutting down.
/// Answers at once with what was last seen, usually within the last second.
#[utoipa::path(get, path = "/ready", tag = "operations", responses(
    (status = OK, description = "They can.", body = ReadyBody),
    (status = SERVICE_UNAVAILABLE, description = "They cannot; the failing check is named.", body = ReadyBody,
        headers(("Retry-After" = u32, description = "Seconds.")))))]
pub(super) async fn ready(storage: web::Data<Storage>, draining: web::Data<Draining>) -> HttpResponse {
    let failing = |check, detail| {
        let body = ReadyBody { ready: false, failing: Some(check), detail: Some(detail) };
        HttpResponse::ServiceUnavailable().insert_header((RETRY_AFTER, "1")).json(body)
    };
    if draining.is_draining() {
        return failing("shutdown", "the service is shutting down");
    }
    match storage.readiness() {
        Readiness::Ready => HttpResponse::Ok().json(ReadyBody { ready: true, failing: None, detail: None }),
        Readiness::Failing(check) => failing(check.word(), check.detail()),
    }
}

/// The metrics, for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "operations",
    responses((status = OK, description = "Prometheus text format, version 0.0.4.", body = String, content_type = "text/plain")))]
pub(super) async fn metrics(metrics: web::Data<Metrics>) -> HttpResponse {
    HttpResponse::Ok().content_type(CONTENT_TYPE).body(metrics.encode())
}
