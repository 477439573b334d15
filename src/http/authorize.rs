//! The gate before a resource: whoever has no token, or one without the right scope, gets no further.

use std::future::{Ready, ready};
use std::net::IpAddr;
use std::rc::Rc;

use actix_web::body::BoxBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, HeaderValue};
use actix_web::{Error, HttpMessage as _, HttpRequest};
use futures_util::future::{Either, LocalBoxFuture};

use super::failure::Failure;
use super::timed::Turns;
use crate::auth::{Bearer, Gate, Refused, Scope};
use crate::domain;

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

/// The gate's factory.
#[derive(Clone)]
pub(super) struct Authorize {
    pub(super) access: Access,
    pub(super) gate: Gate,
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
        // Before the token is looked at: that may have to wait for keys.
        if request.conn_data::<Turns>().is_some_and(Turns::is_in_reserve) {
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
                        access.introduce(bearer, request.request());
                        service.call(request).await
                    }
                    Err(refused) => Ok(request.error_response(Failure::from(refused))),
                }
            })));
        }
        match gate.admit(bearer, scope, address(&request)) {
            Ok(bearer) => {
                access.introduce(bearer, request.request());
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
