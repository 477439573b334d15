//! HTTP requests by method, route and status.

use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, Registry};

use super::in_flight::InFlight;
use super::register::{DURATION_BUCKETS, counters, histograms, register};

const REQUESTS: &str = "HTTP requests answered.";
const DURATION: &str =
    "Time from a request's head to its response's, without the transfer of bodies that are sent later.";
const IN_FLIGHT: &str = "HTTP requests whose response is not ready yet.";

const LABELS: [&str; 3] = ["method", "route", "status"];

/// The label of requests that match no route.
const UNMATCHED: &str = "unmatched";

#[derive(Clone)]
pub(super) struct Requests {
    answered: IntCounterVec,
    durations: HistogramVec,
    in_flight: IntGauge,
}

impl Requests {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            answered: counters(registry, "http_requests_total", REQUESTS, &LABELS)?,
            durations: histograms(registry, "http_request_duration_seconds", DURATION, &LABELS, &DURATION_BUCKETS)?,
            in_flight: register(registry, IntGauge::new("http_requests_in_flight", IN_FLIGHT)?)?,
        })
    }

    fn series(&self, method: &Method, route: &str, status: StatusCode) -> Series {
        let labels = [method_label(method), route, status.as_str()];
        Series {
            method: method.clone(),
            status,
            answered: self.answered.with_label_values(&labels),
            durations: self.durations.with_label_values(&labels),
        }
    }
}

/// The metrics of one route. Keeps the series of its successes, to save a look-up per request.
#[derive(Clone)]
pub struct RouteMetrics {
    requests: Requests,
    route: &'static str,
    successes: Vec<Series>,
}

impl RouteMetrics {
    pub(super) fn new(requests: &Requests, route: &'static str, successes: &[(Method, StatusCode)]) -> Self {
        let series = |(method, status): &(Method, StatusCode)| requests.series(method, route, *status);
        Self { requests: requests.clone(), route, successes: successes.iter().map(series).collect() }
    }

    pub(super) fn unmatched(requests: &Requests) -> Self {
        Self::new(requests, UNMATCHED, &[])
    }

    /// The pattern in the route table, or `unmatched`.
    #[must_use]
    pub fn route(&self) -> &'static str {
        self.route
    }

    /// Counts an answered request.
    pub fn observe(&self, method: &Method, status: StatusCode, duration: Duration) {
        match self.successes.iter().find(|series| series.status == status && series.method == *method) {
            Some(series) => series.observe(duration),
            None => self.requests.series(method, self.route, status).observe(duration),
        }
    }

    /// Counts a request as in flight until the returned guard is dropped.
    #[must_use]
    pub fn begin(&self) -> InFlight {
        InFlight::begin(&self.requests.in_flight)
    }
}

#[derive(Clone)]
struct Series {
    method: Method,
    status: StatusCode,
    answered: IntCounter,
    durations: Histogram,
}

impl Series {
    fn observe(&self, duration: Duration) {
        self.answered.inc();
        self.durations.observe(duration.as_secs_f64());
    }
}

/// The method as a label. Unknown methods share one series, because clients can invent them.
#[must_use]
pub fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
