//! The API's description, made from the handlers' own types.

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{OpenApi as Document, RefOr};
use utoipa::{Modify, OpenApi};

use super::texts::Texts;
use super::{docs, health, live, v1, v2};

#[derive(OpenApi)]
#[openapi(
    info(title = "user-service", description = "Stores users and serves them to other services."),
    paths(
        v1::list_users, v1::create_user, v1::get_user, v1::update_user, v1::delete_user,
        v2::list_users, v2::create_user, v2::get_user, v2::update_user, v2::patch_user, v2::delete_user,
        v2::stream_events,
        health::health, health::ready, health::metrics, docs::openapi_json, docs::to_swagger_ui, docs::swagger_ui,
        live::page, live::page_asset,
    ),
    modifiers(&Aliases, &RequestIds, &Tokens, &Texts),
)]
struct Api;

/// The description of every route (OpenAPI 3.1).
#[must_use]
pub fn openapi() -> Document {
    Api::openapi()
}

/// The names that Kubernetes' own components use for the same two checks.
struct Aliases;

impl Modify for Aliases {
    fn modify(&self, openapi: &mut Document) {
        for (path, alias) in [("/health", "/livez"), ("/ready", "/readyz")] {
            let Some(item) = openapi.paths.paths.get(path) else {
                continue;
            };
            let mut item = item.clone();
            if let Some(operation) = &mut item.get {
                operation.operation_id = Some(alias.trim_start_matches('/').to_owned());
            }
            openapi.paths.paths.insert(alias.to_owned(), item);
        }
    }
}

/// Every response carries the request's id; said once here instead of in each handler.
struct RequestIds;

impl Modify for RequestIds {
    fn modify(&self, openapi: &mut Document) {
        for operation in openapi.paths.paths.values_mut().flat_map(operations) {
            for response in operation.responses.responses.values_mut() {
                if let RefOr::T(response) = response {
                    let id = HeaderBuilder::new().description(Some("The request's id: the caller's, or a new one."));
                    response.headers.insert("X-Request-Id".to_owned(), id.build().into());
                }
            }
        }
    }
}

/// What every route under `/api` needs; said once here instead of in each handler.
struct Tokens;

impl Modify for Tokens {
    fn modify(&self, openapi: &mut Document) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
        let description = "Its `scope` must name `users:read` to read, and `users:write` for everything else.";
        let bearer = SecurityScheme::Http(bearer.description(Some(description)).build());
        openapi.components.get_or_insert_default().add_security_scheme("bearer", bearer);
        let guarded = openapi.paths.paths.iter_mut().filter(|(path, _)| path.starts_with("/api/"));
        for operation in guarded.flat_map(|(_, item)| operations(item)) {
            operation.security = Some(vec![SecurityRequirement::new("bearer", [""; 0])]);
        }
    }
}

/// Those that the path answers.
pub(super) fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete].into_iter().flatten()
}
