//! What is around every call: gives it its id, its deadline and its place in the metrics, and lets in only whoever may call.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use tokio::time::timeout_at;
use tonic::body::Body;
use tonic::codegen::http::header::{AUTHORIZATION, CONTENT_TYPE};
use tonic::codegen::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use tonic::{Code, Status};

use super::Settings;
use super::body::{CallBody, Ending};
use super::call_deadline;
use super::endpoint::{ENDPOINTS, Endpoint};
use super::failure::{Failure, is_failure, name};
use super::methods::Users;
use super::services::{Answer, Services};
use crate::auth::{Bearer, Gate, Scope};
use crate::metrics::{MethodMetrics, Metrics};
use crate::telemetry::{AccessLogger, Answered, Arrived, Context, RequestId, RequestTrace, Traces};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Answers calls. Clones share everything.
#[derive(Clone)]
pub struct Calls(Arc<Shared>);

struct Shared {
    routes: Vec<Route>,
    unmatched: MethodMetrics,
    gate: Gate,
    traces: Traces,
    access_log: AccessLogger,
    /// For calls that have no deadline, or a later one.
    timeout: Duration,
    max_message_bytes: usize,
}

/// A method, and who answers it.
struct Route {
    endpoint: Endpoint,
    metrics: MethodMetrics,
    answer: Answer,
}

impl Calls {
    /// Registers the metrics of every method, at zero.
    ///
    /// # Errors
    /// When the services cannot be described to those who ask by reflection.
    pub fn new(settings: &Settings, users: Users, gate: Gate, metrics: &Metrics, traces: Traces) -> io::Result<Self> {
        let services = Services::new(users, settings.max_message_bytes)?;
        let route = |endpoint: Endpoint| Route {
            metrics: if endpoint.streams {
                metrics.of_method(endpoint.method)
            } else {
                metrics.of_unary_method(endpoint.method)
            },
            answer: services.of(endpoint.service),
            endpoint,
        };
        Ok(Self(Arc::new(Shared {
            routes: ENDPOINTS.into_iter().map(route).collect(),
            unmatched: metrics.of_unmatched_calls(),
            gate,
            traces,
            access_log: AccessLogger::new(settings.access_log, settings.slow_request),
            timeout: settings.call_timeout,
            max_message_bytes: settings.max_message_bytes,
        })))
    }

    /// Answers one call that comes from this address, if it is known.
    pub(super) async fn answer(self, request: Request<Incoming>, peer: Option<IpAddr>) -> Response<CallBody> {
        let start = Instant::now();
        let shared = &*self.0;
        let route = shared.route(request.uri().path());
        let metrics = route.map_or(&shared.unmatched, |route| &route.metrics);
        let in_flight = metrics.begin();
        let (request_id, header) = request_id(request.headers());
        let trace = shared.trace(request.headers(), route);
        let timeout = call_deadline::timeout(request.headers());
        let deadline = timeout.as_ref().ok().copied().flatten();
        let deadline = deadline.and_then(|timeout| start.checked_add(call_deadline::in_time_for(timeout)));
        let context = Context { deadline, ..trace.context(request_id) };
        let serve = trace.follow(shared.serve(route, request, peer, (start, timeout)));
        let mut response = context.scope(serve).await;
        response.headers_mut().insert(X_REQUEST_ID, header);
        let code = response.extensions().get::<Status>().map_or(Code::Ok, Status::code);
        let streams = code == Code::Ok && route.is_some_and(|route| route.endpoint.streams);
        let call = Call { calls: self.clone(), metrics: metrics.clone(), context, trace, start, streams };
        if streams {
            let ending = Ending::new(move |code| {
                call.note(code);
                drop(in_flight);
            });
            return response.map(|body| CallBody::stream(body, ending));
        }
        call.note(code);
        response.map(CallBody::whole)
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
        peer: Option<IpAddr>,
        (start, timeout): (Instant, Result<Option<Duration>, Failure>),
    ) -> Response<Body> {
        if !is_grpc(&request) {
            let mut response = Status::from(Failure::Unimplemented).into_http();
            *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return response;
        }
        let call = async {
            let route = route.ok_or(Failure::Unimplemented)?;
            let timeout = timeout?.map_or(self.timeout, |timeout| timeout.min(self.timeout));
            // What is asked of the database ends by itself, and before this.
            let call = timeout_at((start + timeout).into(), self.call(route, request, peer));
            call.await.unwrap_or(Err(Failure::DeadlineExceeded))
        };
        call.await.unwrap_or_else(|failure| Status::from(failure).into_http())
    }

    async fn call(
        &self,
        route: &Route,
        mut request: Request<Incoming>,
        peer: Option<IpAddr>,
    ) -> Result<Response<Body>, Failure> {
        if let Some(scope) = route.endpoint.scope {
            let bearer = self.admit(request.headers(), scope, peer).await?;
            if route.endpoint.streams {
                // It streams for no longer than the token does.
                request.extensions_mut().insert(bearer);
            }
        }
        let response = (route.answer)(request).await.unwrap_or_else(|never| match never {});
        match response.extensions().get::<Status>() {
            // We say more: these come from tonic, about a message that it could not read.
            Some(status) if status.details().is_empty() => match status.code() {
                Code::Internal => Err(Failure::MalformedMessage),
                Code::OutOfRange => Err(Failure::MessageTooLarge { limit: self.max_message_bytes }),
                _ => Ok(response),
            },
            _ => Ok(response),
        }
    }

    async fn admit(&self, headers: &HeaderMap, scope: Scope, peer: Option<IpAddr>) -> Result<Bearer, Failure> {
        let authenticate =
            || self.gate.authenticate(headers.get_all(AUTHORIZATION).into_iter().map(HeaderValue::as_bytes));
        let mut bearer = authenticate();
        if let Some(refreshed) = self.gate.refresh(&bearer) {
            refreshed.await;
            bearer = authenticate();
        }
        Ok(self.gate.admit(bearer, scope, peer)?)
    }
}

/// What is told of a call when it has ended.
struct Call {
    calls: Calls,
    metrics: MethodMetrics,
    context: Context,
    trace: RequestTrace,
    start: Instant,
    streams: bool,
}

impl Call {
    fn note(self, code: Code) {
        let Self { calls, metrics, context, trace, start, streams } = self;
        let (took, status, is_failure) = (start.elapsed(), name(code), is_failure(code));
        metrics.observe(status, took);
        trace.finish_call(status, is_failure);
        let (method, route, status) = ("gRPC", metrics.method(), status.into());
        let answered = Answered { method, route, status, is_failure, code: None, took, streams };
        context.run(|| calls.0.access_log.note(&answered));
    }
}

/// The caller's id if it sent a sane one, else a new one.
fn request_id(headers: &HeaderMap) -> (RequestId, HeaderValue) {
    let given = headers.get(&X_REQUEST_ID);
    let sane = given.and_then(|value| Some((RequestId::parse(value.as_bytes())?, value.clone())));
    sane.unwrap_or_else(|| {
        let id = RequestId::random();
        // Hexadecimal digits are always a valid header.
        let header = HeaderValue::from_str(id.as_str()).unwrap_or_else(|_| HeaderValue::from_static("none"));
        (id, header)
    })
}

/// Whether it is a call at all (gRPC over HTTP/2, "Requests").
fn is_grpc(request: &Request<Incoming>) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE);
    let is_grpc = content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
    is_grpc && *request.method() == Method::POST
}
