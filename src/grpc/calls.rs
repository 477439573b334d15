//! What every call passes through: it gets its id, deadline, trace and metrics, and is authorized.
//!
//! `telemetry::Context` carries the deadline to the database actor, as it carries the id and the span. A call has a
//! deadline even if its caller set none, so that the service does not wait for half a message. The storage's deadline
//! comes before the call's ([`Deadlines`]), so that the caller learns what happened. A stream is counted when it ends
//! ([`CallBody`]).
//!
//! tonic answers a message that it cannot parse with `INTERNAL`, which would page an operator for a client's garbage.
//! So that becomes `INVALID_ARGUMENT`.

use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tokio::time::timeout_at;
use tonic::body::Body;
use tonic::codegen::http::header::{AUTHORIZATION, CONTENT_TYPE};
use tonic::codegen::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use tonic::{Code, Status};

use super::body::CallBody;
use super::caller::{Admitted, Caller};
use super::completion::Completion;
use super::deadline::Deadlines;
use super::endpoint::{ENDPOINTS, Endpoint};
use super::failure::{Failure, is_failure, name};
use super::handler::Handler;
use super::limits::{InFlightCall, InFlightCalls, has_few_headers, keep_authorization_headers, keep_tonic_headers};
use super::methods::Users;
use super::services::{MAX_BATCH_BYTES, Services};
use super::settings::Settings;
use crate::auth::{Bearer, Gate, Refused, Scope};
use crate::domain;
use crate::metrics::{MethodMetrics, Metrics};
use crate::storage::Storage;
use crate::telemetry::{
    AccessLogger, Answered, Arrived, Context, RequestId, RequestTrace, Traces, asks_for_timing, collect_timings,
    server_timing,
};

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The most calls that may wait for an issuer's keys. Any client can cause such a wait by inventing a key id. Meanwhile
/// the call's headers stay in memory, but nothing more is read of it.
const MAX_WAITING_FOR_KEYS: usize = 128;

/// Handles calls. Clones share everything.
#[derive(Clone)]
pub struct Calls {
    shared: Arc<Shared>,
    /// Whether the calls come over connections of the reserve, on which only methods that need no token are served.
    is_in_reserve: bool,
}

struct Shared {
    routes: Vec<Route>,
    unmatched: MethodMetrics,
    gate: Gate,
    /// Has the slots of batches.
    storage: Storage,
    waiting_for_keys: Semaphore,
    /// Permits for calls beyond those that each connection may always have.
    call_permits: Arc<Semaphore>,
    traces: Traces,
    access_log: AccessLogger,
    server_timing: bool,
    /// Applies to calls with no deadline or a later one.
    timeout: Duration,
    max_message_bytes: usize,
}

/// A method and its handler.
struct Route {
    endpoint: Endpoint,
    metrics: MethodMetrics,
    handler: Handler,
}

impl Calls {
    /// Creates the handlers, and the metrics of every method.
    ///
    /// # Errors
    /// When the reflection service cannot be built.
    pub fn new(settings: &Settings, users: Users, gate: Gate, metrics: &Metrics, traces: Traces) -> io::Result<Self> {
        let storage = users.storage.clone();
        let services = Services::new(users, settings.max_message_bytes, settings.head_timeout)?;
        let route = |endpoint: Endpoint| Route {
            metrics: if endpoint.streams {
                metrics.of_method(endpoint.method)
            } else {
                metrics.of_unary_method(endpoint.method)
            },
            handler: services.handler(endpoint.service),
            endpoint,
        };
        let shared = Arc::new(Shared {
            routes: ENDPOINTS.into_iter().map(route).collect(),
            unmatched: metrics.of_unmatched_calls(),
            gate,
            storage,
            waiting_for_keys: Semaphore::new(MAX_WAITING_FOR_KEYS),
            call_permits: Arc::new(Semaphore::new(settings.max_calls)),
            traces,
            access_log: AccessLogger::new(settings.access_log, settings.slow_request),
            server_timing: settings.server_timing,
            timeout: settings.call_timeout,
            max_message_bytes: settings.max_message_bytes,
        });
        Ok(Self { shared, is_in_reserve: false })
    }

    /// Serves only methods that need no token.
    pub(super) fn without_authorized_methods(self) -> Self {
        Self { is_in_reserve: true, ..self }
    }

    /// The calls in flight on a new connection.
    pub(super) fn new_connection(&self) -> Rc<InFlightCalls> {
        InFlightCalls::new(Arc::clone(&self.shared.call_permits))
    }

    /// The caller of a call on a connection.
    pub(super) fn caller(&self, peer: Option<IpAddr>, connection_ends: Instant, call: InFlightCall) -> Caller {
        Caller { peer, connection_ends, is_in_reserve: self.is_in_reserve, call }
    }

    /// Removes headers that are not needed until the call is authorized. Calls of many unauthenticated connections may
    /// wait for that at the same time.
    pub(super) fn strip_headers(&self, request: Request<Incoming>) -> Request<Incoming> {
        let is_unchanged = has_few_headers(&request) || self.shared.authenticate(request.headers()).is_ok();
        if is_unchanged { request } else { keep_authorization_headers(request) }
    }

    /// Handles one call.
    pub(super) async fn handle(self, request: Request<Incoming>, mut caller: Caller) -> Response<CallBody> {
        let start = Instant::now();
        let shared = &*self.shared;
        let route = shared.route(request.uri().path());
        let (request_id, header) = request_id(request.headers());
        let trace = shared.trace(request.headers(), route);
        let streams = route.is_some_and(|route| route.endpoint.streams);
        let is_timed =
            shared.server_timing || asks_for_timing(request.headers().get(SERVER_TIMING).map(HeaderValue::as_bytes));
        let deadlines = Deadlines::of(request.headers(), streams, start, shared.timeout);
        let deadline = deadlines.as_ref().ok().and_then(|deadlines| deadlines.work);
        let context = Context { deadline, ..trace.context(request_id) };
        let serve = trace.follow(shared.serve(route, request, &mut caller, deadlines));
        let completion = self.completion(route, context, trace, start);
        let serve = context.scope(async {
            let mut response = serve.await;
            if let Some(timing) = server_timing(start.elapsed()).and_then(|timing| timing.parse().ok()) {
                response.headers_mut().insert(SERVER_TIMING, timing);
            }
            response
        });
        let mut response = if is_timed { collect_timings(serve).await } else { serve.await };
        response.headers_mut().insert(X_REQUEST_ID, header);
        match response.extensions().get::<Status>() {
            Some(status) => completion.complete(status),
            None if streams => return response.map(|body| CallBody::stream(body, completion).holding(caller.call)),
            None => completion.complete(&Status::new(Code::Ok, "")),
        }
        response.map(|body| CallBody::whole(body).holding(caller.call))
    }

    /// The response to a call on a connection that is closing.
    pub(super) fn reject() -> Response<CallBody> {
        Status::from(Failure::ConnectionOver).into_http().map(CallBody::whole)
    }

    /// Records the end of a call in the metrics, the trace and the access log.
    fn completion(&self, route: Option<&Route>, context: Context, trace: RequestTrace, start: Instant) -> Completion {
        let metrics = route.map_or(&self.shared.unmatched, |route| &route.metrics).clone();
        let streams = route.is_some_and(|route| route.endpoint.streams);
        // Calls without a token are never logged as slow: unauthenticated clients could fill the log by being slow.
        let lasts = streams || route.is_some_and(|route| route.endpoint.scope.is_none());
        let (access_log, in_flight) = (self.shared.access_log.clone(), metrics.begin());
        Completion::new(move |status| {
            let (took, code, is_failure) = (start.elapsed(), name(status.code()), is_failure(status, streams));
            metrics.observe(code, took);
            trace.finish_call(code, is_failure);
            let (method, route, status) = ("gRPC", metrics.method(), code.into());
            let answered = Answered { method, route, status, is_failure, code: None, took, streams: lasts };
            context.run(|| access_log.note(&answered));
            drop(in_flight);
        })
    }
}

impl Shared {
    fn route(&self, path: &str) -> Option<&Route> {
        let method = path.strip_prefix('/')?;
        self.routes.iter().find(|route| route.endpoint.method == method)
    }

    fn trace(&self, headers: &HeaderMap, route: Option<&Route>) -> RequestTrace {
        let values = |name| headers.get_all(name).into_iter().map(HeaderValue::as_bytes);
        let arrived = Arrived::Grpc { method: route.map(|route| route.endpoint.method) };
        self.traces.begin(values("traceparent"), values("tracestate"), &arrived)
    }

    async fn serve(
        &self,
        route: Option<&Route>,
        request: Request<Incoming>,
        caller: &mut Caller,
        deadlines: Result<Deadlines, Failure>,
    ) -> Response<Body> {
        if !is_grpc(&request) {
            let mut response = Status::from(Failure::Unimplemented).into_http();
            *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return response;
        }
        let call = async { self.call(route.ok_or(Failure::Unimplemented)?, request, caller, deadlines).await };
        call.await.unwrap_or_else(|failure| Status::from(failure).into_http())
    }

    async fn call(
        &self,
        route: &Route,
        mut request: Request<Incoming>,
        caller: &mut Caller,
        deadlines: Result<Deadlines, Failure>,
    ) -> Result<Response<Body>, Failure> {
        if let Some(scope) = route.endpoint.scope {
            if caller.is_in_reserve {
                return Err(domain::Error::Overloaded.into());
            }
            // Has a timeout of its own. An invalid token is reported even if the deadline has passed.
            let bearer = self.admit(request.headers(), scope, caller.peer).await?;
            caller.call.authenticated();
            let is_batch = route.endpoint.is_batch;
            if is_batch {
                // Before anything of the message is read.
                caller.call.hold(self.storage.batch_slot(&bearer.id)?);
            }
            if route.endpoint.streams || is_batch || request.headers().contains_key("idempotency-key") {
                request.extensions_mut().insert(Admitted { bearer, connection_ends: caller.connection_ends });
            }
        } else {
            request = keep_tonic_headers(request);
        }
        if !caller.call.acquire_permit() {
            return Err(Failure::TooManyCalls);
        }
        let response = timeout_at(deadlines?.response.into(), (route.handler)(request)).await;
        let response = response.map_err(|_| Failure::DeadlineExceeded)?.unwrap_or_else(|never| match never {});
        match response.extensions().get::<Status>() {
            // A status without details comes from tonic and means that it could not read the message. That is the
            // caller's fault, even where tonic reports an internal error. Our own status says more.
            Some(status) if status.details().is_empty() => match status.code() {
                Code::OutOfRange if route.endpoint.is_batch => Err(Failure::MessageTooLarge { limit: MAX_BATCH_BYTES }),
                Code::OutOfRange => Err(Failure::MessageTooLarge { limit: self.max_message_bytes }),
                Code::NotFound | Code::Unimplemented => Ok(response),
                _ => Err(Failure::MalformedMessage),
            },
            _ => Ok(response),
        }
    }

    async fn admit(&self, headers: &HeaderMap, scope: Scope, peer: Option<IpAddr>) -> Result<Bearer, Failure> {
        let mut bearer = self.authenticate(headers);
        if let Some(refreshed) = self.gate.refresh(&bearer) {
            let _permit = self.waiting_for_keys.try_acquire().map_err(|_| Failure::TooManyCalls)?;
            refreshed.await;
            bearer = self.authenticate(headers);
        }
        Ok(self.gate.admit(bearer, scope, peer)?)
    }

    fn authenticate(&self, headers: &HeaderMap) -> Result<Bearer, Refused> {
        self.gate.authenticate(headers.get_all(AUTHORIZATION).into_iter().map(HeaderValue::as_bytes))
    }
}

/// The caller's request id if it is valid, or else a new one.
fn request_id(headers: &HeaderMap) -> (RequestId, HeaderValue) {
    let given = headers.get(&X_REQUEST_ID);
    let valid = given.and_then(|value| Some((RequestId::parse(value.as_bytes())?, value.clone())));
    valid.unwrap_or_else(|| {
        let id = RequestId::random();
        // Hexadecimal digits are always a valid header value.
        let header = HeaderValue::from_str(id.as_str()).unwrap_or_else(|_| HeaderValue::from_static("none"));
        (id, header)
    })
}

/// Whether the request is a gRPC call (gRPC over HTTP/2, "Requests").
fn is_grpc(request: &Request<Incoming>) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let rest = content_type.strip_prefix(b"application/grpc");
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';'))) && *request.method() == Method::POST
}
