//! One line of the route table: a path, who may use it, and a handler for each method.

use actix_web::guard;
use actix_web::http::{Method, StatusCode};
use actix_web::{FromRequest, Handler, Resource, Responder, Route, web};

use super::authorize::Access;
use super::failure::Failure;

/// A handler, and the methods that it answers.
pub(super) struct Endpoint {
    methods: &'static [Method],
    success: StatusCode,
    route: Route,
}

impl Endpoint {
    /// Says that success has another status than is usual for the method.
    pub(super) fn answering(self, success: StatusCode) -> Self {
        Self { success, ..self }
    }
}

/// A path of the table.
pub(super) struct Entry {
    pub(super) pattern: &'static str,
    /// Each method, with the status of its success.
    pub(super) successes: Vec<(Method, StatusCode)>,
    pub(super) resource: Resource,
    pub(super) access: Access,
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

/// Puts the endpoints on a path; any other method is answered with 405 and the ones there are (RFC 9110, 15.5.6).
pub(super) fn resource<const N: usize>(pattern: &'static str, access: Access, endpoints: [Endpoint; N]) -> Entry {
    let methods = Vec::from_iter(endpoints.iter().flat_map(|endpoint| endpoint.methods));
    let allow = methods.iter().map(|method| method.as_str()).collect::<Vec<_>>().join(", ");
    let refuse = move || {
        let allow = allow.clone();
        async move { Err::<String, _>(Failure::MethodNotAllowed { allow }) }
    };
    let resource = web::resource(pattern).default_service(web::to(refuse));
    let add = |(mut listed, resource): (Vec<_>, Resource), endpoint: Endpoint| {
        listed.extend(endpoint.methods.iter().map(|method| (method.clone(), endpoint.success)));
        (listed, resource.route(endpoint.route))
    };
    let (successes, resource) = endpoints.into_iter().fold((Vec::new(), resource), add);
    Entry { pattern, successes, resource, access }
}
