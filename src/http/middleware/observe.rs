use std::future::{Ready, ready};
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_web::Error;
use actix_web::body::BoxBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, StatusCode, Version};
use futures_util::future::{Either, LocalBoxFuture};

use super::host::check_host;
use super::request_id::{X_REQUEST_ID, request_id};
use super::security_headers::protect;
use crate::http::problem::{Failure, error_response};
use crate::metrics::{Metrics, RouteMetrics, method_label};
use crate::net::Draining;
use crate::telemetry::{
    AccessLog, AccessLogger, Answered, Arrived, RequestTrace, Traces, asks_for_timing, collect_timings, server_timing,
};

pub(super) const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(super) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// What [`Observe`] needs to know.
#[derive(Clone, Copy, Debug)]
pub struct ObserveSettings {
    /// The largest head of a request, in bytes.
    pub max_head_bytes: usize,
    /// Whether clients speak TLS to the service.
    pub over_tls: bool,
    pub access_log: AccessLog,
    /// The duration from which on a request is slow, and so a problem to log.
    pub slow_request: Duration,
    /// Whether every response says where the time went, and not only those whose requests ask.
    pub server_timing: bool,
}

/// The outermost middleware. It gives each request its id, writes each failure's response, and records each response in
/// metrics, traces and the access log.
#[derive(Clone)]
pub struct Observe {
    unmatched: RouteMetrics,
    draining: Draining,
    max_head_bytes: usize,
    over_tls: bool,
    access_log: AccessLogger,
    traces: Traces,
    server_timing: bool,
}

impl Observe {
    /// Records requests in these metrics and traces. While the service is draining, each response closes its
    /// connection.
    #[must_use]
    pub fn new(metrics: &Metrics, traces: Traces, draining: Draining, settings: ObserveSettings) -> Self {
        let ObserveSettings { max_head_bytes, over_tls, access_log, slow_request, server_timing } = settings;
        let access_log = AccessLogger::new(access_log, slow_request);
        let unmatched = metrics.of_unmatched();
        Self { unmatched, draining, max_head_bytes, over_tls, access_log, traces, server_timing }
    }
}

impl<S> Transform<S, ServiceRequest> for Observe
where
    S: Service<ServiceRequest, Response = ServiceResponse<BoxBody>, Error = Error> + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type InitError = ();
    type Transform = ObserveService<S>;
    type Future = Ready<Result<ObserveService<S>, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(ObserveService { service, observe: Rc::new(self.clone()) }))
    }
}

/// [`Observe`] around a service.
pub struct ObserveService<S> {
    service: S,
    observe: Rc<Observe>,
}

impl<S> Service<ServiceRequest> for ObserveService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<BoxBody>, Error = Error> + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<ServiceResponse<BoxBody>, Error>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let start = Instant::now();
        let (request_id, header) = request_id(request.headers());
        let observe = Rc::clone(&self.observe);
        let head_bytes = head_bytes(&request);
        let trace = observe.trace(&request, head_bytes);
        let context = trace.context(request_id);
        let in_flight = observe.unmatched.begin();
        let is_timed =
            observe.server_timing || asks_for_timing(request.headers().get(SERVER_TIMING).map(HeaderValue::as_bytes));
        let response = match observe.admit(&request, head_bytes) {
            Err(failure) => Either::Left(ready(Ok(request.error_response(failure)))),
            Ok(()) => Either::Right(context.run(|| self.service.call(request))),
        };
        let response = trace.follow(response);
        let response = context.scope(async move {
            let (mut response, code) = rendered(response.await?);
            response.headers_mut().insert(X_REQUEST_ID, header);
            protect(response.headers_mut(), observe.over_tls);
            // After a timeout, the service cannot know where the next request begins (RFC 9110, 15.5.9).
            if observe.draining.is_draining() || response.status() == StatusCode::REQUEST_TIMEOUT {
                response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
            }
            let took = start.elapsed();
            if let Some(timing) = server_timing(took).and_then(|timing| timing.parse().ok()) {
                response.headers_mut().insert(SERVER_TIMING, timing);
            }
            observe.record(&response, code, took, trace);
            drop(in_flight);
            Ok(response)
        });
        if is_timed { Box::pin(collect_timings(response)) } else { Box::pin(response) }
    }
}

impl Observe {
    /// Refuses a request whose head is too large or names an impossible host, whatever its route.
    fn admit(&self, request: &ServiceRequest, head_bytes: usize) -> Result<(), Failure> {
        // The connection read no more than the start of a truncated head.
        if head_bytes > self.max_head_bytes || request.head().is_truncated() {
            return Err(Failure::HeadTooLarge { limit: self.max_head_bytes });
        }
        check_host(request)
    }

    fn trace(&self, request: &ServiceRequest, head_bytes: usize) -> RequestTrace {
        let values = |name: &HeaderName| request.headers().get_all(name).map(HeaderValue::as_bytes);
        let scheme = if self.over_tls { "https" } else { "http" };
        let version = if request.version() == Version::HTTP_10 { "1.0" } else { "1.1" };
        let arrived = Arrived::Http { method: method_label(request.method()), scheme, version };
        // A head that is too large may not fill other services' heads with its `tracestate`.
        let states = (head_bytes <= self.max_head_bytes).then(|| values(&TRACESTATE));
        self.traces.begin(values(&TRACEPARENT), states.into_iter().flatten(), &arrived)
    }

    /// Records a response in the metrics, in its trace, and if configured so in the access log.
    fn record(
        &self,
        response: &ServiceResponse<BoxBody>,
        code: Option<&'static str>,
        took: Duration,
        trace: RequestTrace,
    ) {
        let (request, status) = (response.request(), response.status());
        let metrics = request.app_data::<RouteMetrics>();
        let route = metrics.map(RouteMetrics::route);
        let metrics = metrics.unwrap_or(&self.unmatched);
        metrics.observe(request.method(), status, took);
        trace.finish(route, status.as_u16());
        self.access_log.note(&Answered {
            method: method_label(request.method()),
            route: metrics.route(),
            status: status.as_u16().into(),
            is_failure: status.is_server_error() && code.is_some(),
            code,
            took,
            streams: false,
        });
    }
}

/// The size of a request's head in its usual notation.
fn head_bytes(request: &ServiceRequest) -> usize {
    const LINE: usize = "  HTTP/1.1\r\n\r\n".len();
    const SEPARATORS: usize = ": \r\n".len();
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    let headers = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + SEPARATORS);
    request.method().as_str().len() + target + LINE + headers.sum::<usize>()
}

/// Writes the response of a failure, if it is one. Also returns the failure's code.
fn rendered(response: ServiceResponse<BoxBody>) -> (ServiceResponse<BoxBody>, Option<&'static str>) {
    let Some(error) = response.response().error() else { return (response, None) };
    let Some(failure) = error.as_error::<Failure>() else { return (response, Some("other")) };
    let ((_, code), mut new) = (failure.status_and_code(), error_response(failure, response.request()));
    // A browser shows a script the failure only with the headers that the CORS middleware has added.
    for (name, value) in response.headers() {
        if !new.headers().contains_key(name) {
            new.headers_mut().insert(name.clone(), value.clone());
        }
    }
    (response.into_response(new), Some(code))
}
