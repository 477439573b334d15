//! What holds for many routes, and is described once here instead of in each handler.

use utoipa::Modify;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{OpenApi as Document, RefOr};

use super::operations::operations;

/// `/livez` and `/readyz`, as Kubernetes' own components call the two checks.
pub(super) struct Aliases;

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

/// The header `X-Request-Id`, in every response.
pub(super) struct RequestIds;

impl Modify for RequestIds {
    fn modify(&self, openapi: &mut Document) {
        for operation in openapi.paths.paths.values_mut().flat_map(operations) {
            for response in operation.responses.responses.values_mut() {
                if let RefOr::T(response) = response {
                    let description = "The request's id: the one that the client sent, or a new one.";
                    let id = HeaderBuilder::new().description(Some(description));
                    response.headers.insert("X-Request-Id".to_owned(), id.build().into());
                }
            }
        }
    }
}

/// The bearer token that every route under `/api` needs.
pub(super) struct Tokens;

impl Modify for Tokens {
    fn modify(&self, openapi: &mut Document) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
        let description =
            "A JWT. Its `scope` must include `users:read` for GET and HEAD, and `users:write` for all other methods.";
        let bearer = SecurityScheme::Http(bearer.description(Some(description)).build());
        openapi.components.get_or_insert_default().add_security_scheme("bearer", bearer);
        let guarded = openapi.paths.paths.iter_mut().filter(|(path, _)| path.starts_with("/api/"));
        for operation in guarded.flat_map(|(_, item)| operations(item)) {
            operation.security = Some(vec![SecurityRequirement::new("bearer", [""; 0])]);
        }
    }
}
