//! What holds for many routes, and is described once here instead of in each handler.

use utoipa::Modify;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn, ParameterStyle};
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{OpenApi as Document, RefOr, Required};

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

/// The header `Idempotency-Key`, which every write takes, and `Idempotency-Replayed` of its answers.
pub(super) struct IdempotencyKeys;

impl Modify for IdempotencyKeys {
    fn modify(&self, openapi: &mut Document) {
        let users =
            openapi.paths.paths.iter_mut().filter(|(path, _)| path.contains("/users") && !path.ends_with("Get"));
        for item in users.map(|(_, item)| item) {
            let writes = [&mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
            writes.into_iter().flatten().for_each(describe_keys);
        }
    }
}

fn describe_keys(operation: &mut Operation) {
    let text = "Executes the request once, however often it is sent with this key: 1 to 255 visible ASCII characters, \
                quoted or bare.";
    // A quoted key is one that begins with a quote: few clients write it so.
    let schema = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[!#-~][!-~]{0,254}$"))
        .examples(["8e03978e-40d5-43dd-bc93-6894a57f9324"]);
    let key = ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(text))
        .schema(Some(schema.build()));
    operation.parameters.get_or_insert_default().push(key.build().into());
    let successes = operation.responses.responses.iter_mut().filter(|(status, _)| status.starts_with('2'));
    for response in successes.map(|(_, response)| response) {
        if let RefOr::T(response) = response {
            let description = "`true` if the request was executed earlier, with the same key.";
            let replayed = HeaderBuilder::new().description(Some(description));
            response.headers.insert("Idempotency-Replayed".to_owned(), replayed.build().into());
        }
    }
}

/// The filters by attribute. A parameter is an object here, of which each member is a parameter of its own.
pub(super) struct AttributeFilters;

impl Modify for AttributeFilters {
    fn modify(&self, openapi: &mut Document) {
        let name = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^attributes\\.[A-Za-z0-9_-]{1,40}$"));
        let value = ObjectBuilder::new().schema_type(Type::String).max_length(Some(255));
        let members = ObjectBuilder::new()
            .property_names(Some(name.build()))
            .additional_properties(Some(RefOr::from(value.build())));
        let text = "Only users with these attributes, such as `attributes.department=Sales`: a string, or a number or a boolean \
                    that is written so. Only for those that `ATTRIBUTES_INDEXED` names.";
        let filters = ParameterBuilder::new()
            .name("attributes")
            .parameter_in(ParameterIn::Query)
            .required(Required::False)
            .description(Some(text))
            .style(Some(ParameterStyle::Form))
            .explode(Some(true))
            .schema(Some(members.build()))
            .build();
        for path in ["/api/v2/users", "/api/v2/users:export"] {
            if let Some(list) = openapi.paths.paths.get_mut(path).and_then(|item| item.get.as_mut()) {
                list.parameters.get_or_insert_default().push(filters.clone().into());
            }
        }
    }
}

/// The ids or the emails that are missing: an empty list is both, so it is any of the two, and not one, as utoipa describes an
/// enum.
pub(super) struct MissingIsAnyOf;

impl Modify for MissingIsAnyOf {
    fn modify(&self, openapi: &mut Document) {
        let schemas = openapi.components.iter_mut().map(|components| &mut components.schemas);
        for schema in schemas.filter_map(|schemas| schemas.get_mut("Missing")) {
            if let RefOr::T(Schema::OneOf(one)) = schema {
                let any = one.items.iter().cloned().fold(AnyOfBuilder::new(), AnyOfBuilder::item);
                *schema = any.description(one.description.clone()).into();
            }
        }
    }
}

/// The bearer token that every route under `/api` needs.
pub(super) struct Tokens;

impl Modify for Tokens {
    fn modify(&self, openapi: &mut Document) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
        let description = "A JWT. Its `scope` must include `users:read` for GET, HEAD and `users:batchGet`, and `users:write` for all other requests.";
        let bearer = SecurityScheme::Http(bearer.description(Some(description)).build());
        openapi.components.get_or_insert_default().add_security_scheme("bearer", bearer);
        let guarded = openapi.paths.paths.iter_mut().filter(|(path, _)| path.starts_with("/api/"));
        for operation in guarded.flat_map(|(_, item)| operations(item)) {
            operation.security = Some(vec![SecurityRequirement::new("bearer", [""; 0])]);
        }
    }
}
