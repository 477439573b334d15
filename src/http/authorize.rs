//! The gate before a resource: whoever has no token, or one without the right scope, gets no further.

use std::future::{Ready, ready};

use actix_web::body::BoxBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::Method;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{Error, HttpRequest};
use futures_util::future::Either;

use super::failure::Failure;
use crate::auth::{Scope, Verifier};

/// Who may use a resource.
#[derive(Clone, Copy)]
pub(super) enum Access {
    /// Everybody.
    Open,
    /// Whoever has a token with the scope `users:read`, or, for all methods that do more than read, `users:write`.
    Users,
}

impl Access {
    fn scope(self, method: &Method) -> Option<Scope> {
        match self {
            Self::Open => None,
            Self::Users if matches!(*method, Method::GET | Method::HEAD) => Some(Scope::UsersRead),
            Self::Users => Some(Scope::UsersWrite),
        }
    }
}

/// The gate's factory.
#[derive(Clone)]
pub(super) struct Authorize {
    pub(super) access: Access,
    pub(super) verifier: Verifier,
}

impl Authorize {
    fn check(&self, request: &HttpRequest) -> Result<(), Failure> {
        let Some(scope) = self.access.scope(request.method()) else { return Ok(()) };
        let token = bearer(request)?;
        Ok(self.verifier.authorize(token, scope)?)
    }
}

/// The token of a request (RFC 6750, 2.1). In the URL or the body it would end up in logs, so it is not looked for there.
fn bearer(request: &HttpRequest) -> Result<&str, Failure> {
    let mut given = request.headers().get_all(AUTHORIZATION);
    let (Some(credentials), None) = (given.next(), given.next()) else {
        // Of two it is not clear which one counts.
        return Err(Failure::NoToken);
    };
    let (scheme, token) = credentials.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(Failure::NoToken)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim_matches(' ')) } else { Err(Failure::NoToken) }
}

impl<S> Transform<S, ServiceRequest> for Authorize
where
    S: Service<ServiceRequest, Response = ServiceResponse<BoxBody>, Error = Error>,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type InitError = ();
    type Transform = Authorized<S>;
    type Future = Ready<Result<Authorized<S>, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Authorized { service, authorize: self.clone() }))
    }
}

/// The gate.
pub(super) struct Authorized<S> {
    service: S,
    authorize: Authorize,
}

impl<S> Service<ServiceRequest> for Authorized<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<BoxBody>, Error = Error>,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Future = Either<S::Future, Ready<Result<Self::Response, Error>>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        match self.authorize.check(request.request()) {
            Ok(()) => Either::Left(self.service.call(request)),
            Err(failure) => Either::Right(ready(Ok(request.error_response(failure)))),
        }
    }
}
