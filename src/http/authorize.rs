//! The gate before a resource: whoever has no token, or one without the right scope, gets no further.

use std::future::{Ready, ready};
use std::rc::Rc;

use actix_web::body::BoxBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::Method;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{Error, HttpRequest};
use futures_util::future::{Either, LocalBoxFuture};

use super::failure::Failure;
use super::rate_limit::{Client, RateLimit};
use crate::auth::{Denied, Scope, Verifier};

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

/// Who is let in, at every resource.
#[derive(Clone)]
pub struct Gate {
    pub verifier: Verifier,
    /// How often a client may come, if that matters.
    pub rate_limit: Option<RateLimit>,
}

impl Gate {
    fn check(&self, request: &HttpRequest, scope: Scope) -> Result<(), Failure> {
        let caller = bearer(request).and_then(|token| Ok(self.verifier.authorize(token, scope)?));
        if let Some(rate_limit) = &self.rate_limit {
            rate_limit.check(caller.as_ref().map_or_else(|_| Client::of_address(request), |it| Client::Caller(*it)))?;
        }
        caller.map(drop)
    }
}

/// The gate's factory.
#[derive(Clone)]
pub(super) struct Authorize {
    pub(super) access: Access,
    pub(super) gate: Gate,
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
    S: Service<ServiceRequest, Response = ServiceResponse<BoxBody>, Error = Error> + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type InitError = ();
    type Transform = Authorized<S>;
    type Future = Ready<Result<Authorized<S>, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Authorized { service: Rc::new(service), authorize: self.clone() }))
    }
}

/// The gate.
pub(super) struct Authorized<S> {
    service: Rc<S>,
    authorize: Authorize,
}

type Outcome = Result<ServiceResponse<BoxBody>, Error>;

impl<S> Service<ServiceRequest> for Authorized<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<BoxBody>, Error = Error> + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Future = Either<S::Future, Either<Ready<Outcome>, LocalBoxFuture<'static, Outcome>>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let Authorize { access, gate } = &self.authorize;
        let Some(scope) = access.scope(request.method()) else { return Either::Left(self.service.call(request)) };
        match gate.check(request.request(), scope) {
            Ok(()) => Either::Left(self.service.call(request)),
            Err(Failure::Denied(Denied::UnknownKey | Denied::NoKeys))
                if let Some(refreshed) = gate.verifier.refresh() =>
            {
                let (service, gate) = (Rc::clone(&self.service), gate.clone());
                Either::Right(Either::Right(Box::pin(async move {
                    refreshed.await;
                    match gate.check(request.request(), scope) {
                        Ok(()) => service.call(request).await,
                        Err(failure) => Ok(request.error_response(failure)),
                    }
                })))
            }
            Err(failure) => Either::Right(Either::Left(ready(Ok(request.error_response(failure))))),
        }
    }
}
