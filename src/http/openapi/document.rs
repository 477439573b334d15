use std::io::Read as _;
use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use actix_web::web::Bytes;
use flate2::bufread::GzDecoder;
use utoipa::OpenApi;

use super::modifiers::{Aliases, AttributeFilters, IdempotencyKeys, MissingIsAnyOf, RequestIds, Tokens};
use super::text_patterns::TextPatterns;
use crate::http::problem::V1Error;
use crate::http::{pages, v1, v2};

/// The description of every route. The order of the tags is that of Swagger UI.
#[derive(OpenApi)]
#[openapi(
    info(title = "user-service", description = "Stores users and serves them to other services.\n\n\
        New clients use version 2. It adds entity tags against lost updates, pages that cost the same wherever they are, filters, \
        partial updates and machine-readable errors (RFC 9457). Each request under `/api` needs a bearer token."),
    tags(
        (name = "version 2", description = "Users, for new clients: entity tags, stable pages, filters, partial updates \
            and problem details."),
        (name = "version 1", description = "Users, for clients that exist: small, complete, and it never changes."),
        (name = "events", description = "A live stream of all changes to users, which a client can resume without a gap."),
        (name = "operations", description = "The service's own pages, without a token: health, readiness, metrics, the \
            live page, and this description."),
    ),
    paths(
        v2::list_users, v2::create_user, v2::get_user, v2::update_user, v2::patch_user, v2::delete_user,
        v2::batch_get_users, v2::batch_write_users,
        v2::import_users, v2::get_import, v2::delete_import,
        v1::list_users, v1::create_user, v1::get_user, v1::update_user, v1::delete_user,
        v2::export_users, v2::stream_events,
        pages::health, pages::ready, pages::metrics, pages::live_page, pages::live_page_asset,
        openapi_json, pages::to_swagger_ui, pages::swagger_ui,
    ),
    // utoipa finds schemas in `#[utoipa::path]`, but not in `IntoResponses`.
    components(schemas(V1Error)),
    modifiers(&Aliases, &RequestIds, &AttributeFilters, &MissingIsAnyOf, &IdempotencyKeys, &Tokens, &TextPatterns),
)]
struct Api;

/// The description of every route (OpenAPI 3.1), as JSON with a line for each path and each schema.
///
/// Only `tests/generated.rs` calls it: the service serves the file that is made of it, since the code that describes the
/// routes would be one of the largest parts of the program.
#[must_use]
pub fn openapi() -> String {
    let document = Api::openapi();
    let mut json = document.to_json().unwrap_or_default();
    let schemas = document.components.iter().flat_map(|components| components.schemas.keys());
    for key in document.paths.paths.keys().chain(schemas) {
        json = json.replacen(&format!(",\"{key}\":{{"), &format!(",\n\"{key}\":{{"), 1);
    }
    json + "\n"
}

/// `generated.json`, packed by `build.rs`.
const PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/generated.json.gz"));

static OPENAPI_JSON: LazyLock<Bytes> = LazyLock::new(|| {
    let mut json = Vec::new();
    // It was packed by the build of this program.
    let _ = GzDecoder::new(PACKED).read_to_end(&mut json);
    json.into()
});

/// Returns this description of the API (OpenAPI 3.1).
#[utoipa::path(get, path = "/openapi.json", tag = "operations",
    responses((status = OK, description = "The description.", body = serde_json::Value)))]
pub(crate) async fn openapi_json() -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::json()).body(OPENAPI_JSON.clone())
}
