//! What orchestrators and monitors ask.

use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{AttributeName, Timestamp};
use crate::metrics::{CONTENT_TYPE, Metrics};
use crate::net::Draining;
use crate::storage::{IndexProgress, Readiness, Storage};

/// The process is alive.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// Always `healthy`.
    #[schema(example = "healthy")]
    status: &'static str,
    /// The service's current time (RFC 3339, UTC).
    #[schema(value_type = String, format = DateTime)]
    timestamp: String,
}

/// Checks whether the process is alive.
///
/// It never touches the database: an orchestrator that restarts the process for a failed database would gain nothing.
#[utoipa::path(get, path = "/health", tag = "operations",
    responses((status = OK, description = "The process is alive.", body = Health)))]
pub(crate) async fn health() -> HttpResponse {
    HttpResponse::Ok().json(Health { status: "healthy", timestamp: Timestamp::now().to_string() })
}

/// Whether the service can serve requests.
#[derive(Serialize, ToSchema)]
#[schema(as = Ready)]
pub(crate) struct ReadyBody {
    /// Whether it can.
    ready: bool,
    /// The check that fails: `database`, `migrations`, `read_only`, `encoding`, `schema`, `file` or `shutdown`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    failing: Option<&'static str>,
    /// What that means, in words for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    detail: Option<&'static str>,
    /// The attributes by which lists can be filtered, or will be. Left out if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attribute_indexes: Vec<AttributeIndex>,
}

/// The index of an attribute.
#[derive(Serialize, ToSchema)]
struct AttributeIndex {
    /// The attribute.
    #[schema(example = "department")]
    name: String,
    /// How much of it is made. At 100 lists can be filtered by it, and not before.
    #[schema(maximum = 100)]
    percent: u8,
}

/// Checks whether the service can serve requests.
///
/// It can if the database answers, accepts writes, can store every name and has the schema that the service needs; if SQLite's
/// file is where it was; and if the service is not shutting down. The answer comes at once: it is the state that the service saw
/// last, usually within the last second.
#[utoipa::path(get, path = "/ready", tag = "operations", responses(
    (status = OK, description = "The service can serve requests.", body = ReadyBody),
    (status = SERVICE_UNAVAILABLE, description = "It cannot. The body names the check that fails.", body = ReadyBody,
        headers(("Retry-After" = u32, description = "After how many seconds to try again.")))))]
pub(crate) async fn ready(storage: web::Data<Storage>, draining: web::Data<Draining>) -> HttpResponse {
    let attribute_indexes = || attribute_indexes(&storage);
    let failing = |check, detail| {
        let body = ReadyBody {
            ready: false,
            failing: Some(check),
            detail: Some(detail),
            attribute_indexes: attribute_indexes(),
        };
        HttpResponse::ServiceUnavailable().insert_header((RETRY_AFTER, "1")).json(body)
    };
    if draining.is_draining() {
        return failing("shutdown", "the service is shutting down");
    }
    match storage.readiness() {
        Readiness::Ready => HttpResponse::Ok().json(ReadyBody {
            ready: true,
            failing: None,
            detail: None,
            attribute_indexes: attribute_indexes(),
        }),
        Readiness::Failing(check) => failing(check.word(), check.detail()),
    }
}

fn attribute_indexes(storage: &Storage) -> Vec<AttributeIndex> {
    let index = |(name, progress): (&AttributeName, IndexProgress)| AttributeIndex {
        name: name.to_string(),
        percent: progress.percent(),
    };
    storage.index_progress().map(index).collect()
}

/// Returns the metrics for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "operations",
    responses((status = OK, description = "The Prometheus text format, version 0.0.4.", body = String, content_type = "text/plain")))]
pub(crate) async fn metrics(metrics: web::Data<Metrics>) -> HttpResponse {
    HttpResponse::Ok().content_type(CONTENT_TYPE).body(metrics.encode())
}
