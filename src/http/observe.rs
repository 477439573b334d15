//! The outermost middleware: gives each request its id, each failure its looks, and each response its place in the
//! metrics.

use std::future::{Ready, ready};
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_web::body::BoxBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{StatusCode, Version};
use actix_web::{Error, HttpRequest, HttpResponse};
use futures_util::future::{Either, LocalBoxFuture};

use super::failure::Failure;
use super::host::check_host;
use super::pieces::in_pieces;
use super::request_id::{X_REQUEST_ID, request_id};
use super::security_headers::protect;
use super::timed::Turns;
use super::{Settings, problem, v1};
use crate::metrics::{Metrics, RouteMetrics, method_label};
use crate::net::Draining;
use crate::telemetry::{AccessLogger, Answered, Arrived, RequestTrace, Traces};

/// The middleware's factory.
#[derive(Clone)]
pub struct Observe {
    unmatched: RouteMetrics,
    draining: Draining,
    max_head_bytes: usize,
    over_tls: bool,
    access_log: AccessLogger,
    traces: Traces,
}

impl Observe {
    /// Counts into these metrics; closes connections once `draining` says so.
    #[must_use]
    pub fn new(metrics: &Metrics, traces: Traces, draining: Draining, settings: &Settings) -> Self {
        let (max_head_bytes, over_tls) = (settings.max_head_bytes, settings.over_tls);
        let access_log = AccessLogger::new(settings.access_log, settings.slow_request);
        Self { unmatched: metrics.of_unmatched(), draining, max_head_bytes, over_tls, access_log, traces }
    }
}

impl<S> Transform<S, ServiceRequest> for Observe
where
    S: Service<ServiceRequest, Response = ServiceResponse<BoxBody>, Error = Error> + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type InitError = ();
    type Transform = Observed<S>;
    type Future = Ready<Result<Observed<S>, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Observed { service, observe: Rc::new(self.clone()) }))
    }
}

/// The middleware.
pub struct Observed<S> {
    service: S,
    observe: Rc<Observe>,
}

impl<S> Service<ServiceRequest> for Observed<S>
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
        let turns = request.conn_data::<Turns>().cloned();
        if let Some(turns) = &turns {
            turns.begin();
        }
        let response = match observe.admit(&request, head_bytes) {
            Err(failure) => Either::Left(ready(Ok(request.error_response(failure)))),
            Ok(()) => Either::Right(context.run(|| self.service.call(request))),
        };
        let response = trace.follow(response);
        Box::pin(context.scope(async move {
            let (mut response, code) = rendered(response.await?);
            response.headers_mut().insert(X_REQUEST_ID, header);
            protect(response.headers_mut(), observe.over_tls);
            let is_in_reserve = turns.as_ref().is_some_and(Turns::is_in_reserve);
            // After a time-out nobody knows where the next request would begin (RFC 9110, 15.5.9).
            if is_in_reserve || observe.draining.is_draining() || response.status() == StatusCode::REQUEST_TIMEOUT {
                response.response_mut().head_mut().set_connection_type(actix_web::http::ConnectionType::Close);
            }
            let now = Instant::now();
            observe.note(&response, code, now - start, trace);
            drop(in_flight);
            let response = in_pieces(response, turns.as_ref());
            if let Some(turns) = turns {
                turns.end(now);
            }
            Ok(response)
        }))
    }
}

impl Observe {
    /// Refuses what is wrong whatever is asked for.
    fn admit(&self, request: &ServiceRequest, head_bytes: usize) -> Result<(), Failure> {
        // Of one that is truncated, the rest was not even read.
        if head_bytes > self.max_head_bytes || request.head().is_truncated() {
            return Err(Failure::HeadTooLarge { limit: self.max_head_bytes });
        }
        check_host(request)
    }

    fn trace(&self, request: &ServiceRequest, head_bytes: usize) -> RequestTrace {
        let values = |name| request.headers().get_all(name).map(HeaderValue::as_bytes);
        let scheme = if self.over_tls { "https" } else { "http" };
        let version = if request.version() == Version::HTTP_10 { "1.0" } else { "1.1" };
        let arrived = Arrived::Http { method: method_label(request.method()), scheme, version };
        // Of a head that is too large, nothing more is carried along.
        let states = (head_bytes <= self.max_head_bytes).then(|| values("tracestate"));
        self.traces.begin(values("traceparent"), states.into_iter().flatten(), &arrived)
    }

    /// Tells how a request went: to the metrics, to its trace, and to the log if that is wanted.
    fn note(
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

/// What a request's head takes, as it is usually written.
fn head_bytes(request: &ServiceRequest) -> usize {
    const LINE: usize = "  HTTP/1.1\r\n\r\n".len();
    const SEPARATORS: usize = ": \r\n".len();
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    let headers = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + SEPARATORS);
    request.method().as_str().len() + target + LINE + headers.sum::<usize>()
}

/// Gives a failure the looks of the version that was asked for, and tells its code.
fn rendered(response: ServiceResponse<BoxBody>) -> (ServiceResponse<BoxBody>, Option<&'static str>) {
    let Some(error) = response.response().error() else { return (response, None) };
    let Some(failure) = error.as_error::<Failure>() else { return (response, Some("other")) };
    let ((_, code), mut new) = (failure.status_and_code(), render(failure, response.request()));
    // Without what other middleware has added, a browser would not show the failure to a script.
    for (name, value) in response.headers() {
        if !new.headers().contains_key(name) {
            new.headers_mut().insert(name.clone(), value.clone());
        }
    }
    (response.into_response(new), Some(code))
}

fn render(failure: &Failure, request: &HttpRequest) -> HttpResponse {
    let is_v1 = request.path().starts_with("/api/v1/");
    let mut response = if is_v1 { v1::error_response(failure) } else { problem::response(failure, request) };
    if let Some((name, value)) = failure.header()
        && let Ok(value) = HeaderValue::from_str(&value)
    {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
    response
}
