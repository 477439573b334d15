//! A row of the route table: a path, what a client needs to use it, and a handler for each method.

use actix_web::guard;
use actix_web::http::{Method, StatusCode};
use actix_web::{FromRequest, Handler, Resource, Responder, Route, web};

use super::extract::LargeBody;
use super::middleware::Access;
use super::problem::Failure;

/// A handler and its methods.
pub(super) struct Endpoint {
    methods: &'static [Method],
    success: StatusCode,
    route: Route,
}

impl Endpoint {
    /// Changes the status of success from the method's usual one.
    pub(super) fn answering(self, success: StatusCode) -> Self {
        Self { success, ..self }
    }
}

/// A row of the table.
pub(super) struct Row {
    pub(super) pattern: &'static str,
    /// The methods, each with the status of success.
    pub(super) successes: Vec<(Method, StatusCode)>,
    pub(super) resource: Resource,
    pub(super) access: Access,
}

impl Row {
    /// Takes bodies of up to so many bytes, whatever the usual limit is.
    pub(super) fn with_body_of(self, max_bytes: usize) -> Self {
        let resource = self.resource.app_data(web::PayloadConfig::new(max_bytes)).app_data(LargeBody { max_bytes });
        Self { resource, ..self }
    }
}

/// Answers GET and, without the body, HEAD (RFC 9110, 9.3.2).
pub(super) fn get<A: FromRequest + 'static>(handler: impl Handler<A, Output: Responder + 'static>) -> Endpoint {
    endpoint(&[Method::GET, Method::HEAD], StatusCode::OK, handler)
}

pub(super) fn post<A: FromRequest + 'static>(handler: impl Handler<A, Output: Responder + 'static>) -> Endpoint {
    endpoint(&[Method::POST], StatusCode::CREATED, handler)
}

pub(super) fn put<A: FromRequest + 'static>(handler: impl Handler<A, Output: Responder + 'static>) -> Endpoint {
    endpoint(&[Method::PUT], StatusCode::OK, handler)
}

pub(super) fn patch<A: FromRequest + 'static>(handler: impl Handler<A, Output: Responder + 'static>) -> Endpoint {
    endpoint(&[Method::PATCH], StatusCode::OK, handler)
}

pub(super) fn delete<A: FromRequest + 'static>(handler: impl Handler<A, Output: Responder + 'static>) -> Endpoint {
    endpoint(&[Method::DELETE], StatusCode::NO_CONTENT, handler)
}

fn endpoint<A: FromRequest + 'static>(
    methods: &'static [Method],
    success: StatusCode,
    handler: impl Handler<A, Output: Responder + 'static>,
) -> Endpoint {
    let one_of = guard::fn_guard(|context| methods.contains(&context.head().method));
    Endpoint { methods, success, route: web::route().guard(one_of).to(handler) }
}

/// Makes a row. Any other method gets 405, with the methods that the path has (RFC 9110, 15.5.6).
pub(super) fn resource<const N: usize>(pattern: &'static str, access: Access, endpoints: [Endpoint; N]) -> Row {
    let methods = Vec::from_iter(endpoints.iter().flat_map(|endpoint| endpoint.methods));
    let allow = methods.iter().map(|method| method.as_str()).collect::<Vec<_>>().join(", ");
    let refuse = move || {
        let allow = allow.clone();
        async move { Err::<String, _>(Failure::MethodNotAllowed { allow }) }
    };
    let resource = web::resource(pattern).default_service(web::to(refuse));
    let add = |(mut successes, resource): (Vec<_>, Resource), endpoint: Endpoint| {
        successes.extend(endpoint.methods.iter().map(|method| (method.clone(), endpoint.success)));
        (successes, resource.route(endpoint.route))
    };
    let (successes, resource) = endpoints.into_iter().fold((Vec::new(), resource), add);
    Row { pattern, successes, resource, access }
}
