use std::future::{Ready, ready};
use std::net::IpAddr;
use std::rc::Rc;

use actix_web::body::BoxBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, HeaderValue};
use actix_web::{Error, HttpMessage as _, HttpRequest};
use futures_util::future::{Either, LocalBoxFuture};

use crate::auth::{Bearer, Gate, Refused, Scope};
use crate::domain;
use crate::http::connection::is_in_reserve;
use crate::http::extract::IDEMPOTENCY_KEY;
use crate::http::problem::Failure;

/// What a client needs to use a resource.
#[derive(Clone, Copy)]
pub(crate) enum Access {
    /// Nothing.
    Open,
    /// A token with the scope `users:read` for GET and HEAD, and with `users:write` for all other methods.
    Users,
    /// The same, but the response must end when the token expires: the handler finds the [`Bearer`] in the request's
    /// extensions.
    UsersWhileAuthorized,
    /// A token with this scope, whatever the method is. The handler finds the [`Bearer`], as above.
    Batch(Scope),
}

impl Access {
    fn scope(self, method: &Method) -> Option<Scope> {
        match self {
            Self::Open => None,
            Self::Batch(scope) => Some(scope),
            _ if matches!(*method, Method::GET | Method::HEAD) => Some(Scope::UsersRead),
            _ => Some(Scope::UsersWrite),
        }
    }

    /// Leaves the bearer to a handler that needs it: idempotency keys and batches are each caller's own.
    fn keep(self, bearer: Bearer, request: &HttpRequest) {
        let has_key = || !request.method().is_safe() && request.headers().contains_key(IDEMPOTENCY_KEY);
        if matches!(self, Self::UsersWhileAuthorized | Self::Batch(_)) || has_key() {
            request.extensions_mut().insert(bearer);
        }
    }
}

/// Middleware around one resource. It refuses requests without a valid token, or whose token lacks the scope.
#[derive(Clone)]
pub(crate) struct Authorize {
    pub(crate) access: Access,
    pub(crate) gate: Gate,
}

impl<S> Transform<S, ServiceRequest> for Authorize
where
    S: Service<ServiceRequest, Response = ServiceResponse<BoxBody>, Error = Error> + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type InitError = ();
    type Transform = AuthorizeService<S>;
    type Future = Ready<Result<AuthorizeService<S>, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(AuthorizeService { service: Rc::new(service), authorize: self.clone() }))
    }
}

/// [`Authorize`] around a service.
pub(crate) struct AuthorizeService<S> {
    service: Rc<S>,
    authorize: Authorize,
}

type Outcome = Result<ServiceResponse<BoxBody>, Error>;

impl<S> Service<ServiceRequest> for AuthorizeService<S>
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
        // This comes before the token, whose check may have to wait for keys.
        if is_in_reserve(request.request()) {
            return Either::Right(Either::Left(ready(Ok(
                request.error_response(Failure::from(domain::Error::Overloaded))
            ))));
        }
        let bearer = authenticate(gate, request.request());
        if let Some(refreshed) = gate.refresh(&bearer) {
            let (service, gate) = (Rc::clone(&self.service), gate.clone());
            return Either::Right(Either::Right(Box::pin(async move {
                refreshed.await;
                match gate.admit(authenticate(&gate, request.request()), scope, address(&request)) {
                    Ok(bearer) => {
                        access.keep(bearer, request.request());
                        service.call(request).await
                    }
                    Err(refused) => Ok(request.error_response(Failure::from(refused))),
                }
            })));
        }
        match gate.admit(bearer, scope, address(&request)) {
            Ok(bearer) => {
                access.keep(bearer, request.request());
                Either::Left(self.service.call(request))
            }
            Err(refused) => Either::Right(Either::Left(ready(Ok(request.error_response(Failure::from(refused)))))),
        }
    }
}

fn authenticate(gate: &Gate, request: &HttpRequest) -> Result<Bearer, Refused> {
    gate.authenticate(request.headers().get_all(AUTHORIZATION).map(HeaderValue::as_bytes))
}

fn address(request: &ServiceRequest) -> Option<IpAddr> {
    request.peer_addr().map(|peer| peer.ip())
}
