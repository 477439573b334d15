//! The gate before a resource: whoever has no token, or one without the right scope, gets no further.

use std::future::{Ready, ready};
use std::rc::Rc;

use actix_web::body::BoxBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::Method;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{Error, HttpMessage as _, HttpRequest};
use futures_util::future::{Either, LocalBoxFuture};

use super::failure::Failure;
use super::rate_limit::{Client, RateLimit};
use crate::auth::{Bearer, Denied, Scope, Verifier};
use crate::metrics::{AuthFailures, Metrics};

/// Who may use a resource.
#[derive(Clone, Copy)]
pub(super) enum Access {
    /// Everybody.
    Open,
    /// Whoever has a token with the scope `users:read`, or, for all methods that do more than read, `users:write`.
    Users,
    /// The same, for as long as the token does: the [`Bearer`] is put into the request's extensions, to be asked how long.
    UsersWhileAuthorized,
}

impl Access {
    fn scope(self, method: &Method) -> Option<Scope> {
        match self {
            Self::Open => None,
            _ if matches!(*method, Method::GET | Method::HEAD) => Some(Scope::UsersRead),
            _ => Some(Scope::UsersWrite),
        }
    }

    /// Leaves what the handler wants to know of whoever was let in.
    fn introduce(self, bearer: Bearer, request: &HttpRequest) {
        if matches!(self, Self::UsersWhileAuthorized) {
            request.extensions_mut().insert(bearer);
        }
    }
}

/// Who is let in, at every resource.
#[derive(Clone)]
pub struct Gate {
    verifier: Verifier,
    /// How often a client may come, if that matters.
    rate_limit: Option<RateLimit>,
    failures: AuthFailures,
}

/// The reason for a failure that [`Denied`] does not know.
const NO_TOKEN: &str = "no_token";

impl Gate {
    /// A gate that counts whom it does not let in.
    #[must_use]
    pub fn new(verifier: Verifier, rate_limit: Option<RateLimit>, metrics: &Metrics) -> Self {
        let failures = metrics.auth_failures().clone();
        failures.expect(Denied::ALL.map(Denied::reason).into_iter().chain([NO_TOKEN]));
        Self { verifier, rate_limit, failures }
    }

    fn authenticate(&self, request: &HttpRequest) -> Result<Bearer, Failure> {
        Ok(self.verifier.authenticate(bearer(request)?)?)
    }

    /// Lets somebody in, or tells why not.
    fn admit(&self, bearer: Result<Bearer, Failure>, scope: Scope, request: &HttpRequest) -> Result<Bearer, Failure> {
        self.check(bearer, scope, request).inspect_err(|failure| self.count(failure))
    }

    fn count(&self, failure: &Failure) {
        match failure {
            Failure::NoToken => self.failures.count(NO_TOKEN),
            Failure::Denied(denied) => self.failures.count(denied.reason()),
            _ => {}
        }
    }

    fn check(&self, bearer: Result<Bearer, Failure>, scope: Scope, request: &HttpRequest) -> Result<Bearer, Failure> {
        if let Some(rate_limit) = &self.rate_limit {
            rate_limit.check(match &bearer {
                Ok(bearer) => Client::Caller(bearer.caller),
                Err(_) => Client::of_address(request),
            })?;
        }
        let bearer = bearer?;
        bearer.authorize(scope)?;
        Ok(bearer)
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
        let access = *access;
        let Some(scope) = access.scope(request.method()) else { return Either::Left(self.service.call(request)) };
        let bearer = gate.authenticate(request.request());
        if let Err(Failure::Denied(Denied::UnknownKey | Denied::NoKeys)) = bearer
            && let Some(refreshed) = gate.verifier.refresh()
        {
            let (service, gate) = (Rc::clone(&self.service), gate.clone());
            return Either::Right(Either::Right(Box::pin(async move {
                refreshed.await;
                match gate.admit(gate.authenticate(request.request()), scope, request.request()) {
                    Ok(bearer) => {
                        access.introduce(bearer, request.request());
                        service.call(request).await
                    }
                    Err(failure) => Ok(request.error_response(failure)),
                }
            })));
        }
        match gate.admit(bearer, scope, request.request()) {
            Ok(bearer) => {
                access.introduce(bearer, request.request());
                Either::Left(self.service.call(request))
            }
            Err(failure) => Either::Right(Either::Left(ready(Ok(request.error_response(failure))))),
        }
    }
}
