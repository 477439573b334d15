//! HTTP requests, by what they asked for and what they were answered.

use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, Registry};

use super::{DURATION_BUCKETS, Metrics, counters, histograms, register};

const REQUESTS: &str = "HTTP requests answered.";
const DURATION: &str =
    "Time from a request's head to its response's, without the transfer of bodies that are sent later.";
const IN_FLIGHT: &str = "HTTP requests whose response is not ready yet.";

const LABELS: [&str; 3] = ["method", "route", "status"];

/// The route of a request that no route answered.
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

impl Metrics {
    /// The metrics of one route: a pattern of the route table, never a path. Its successes exist, at zero, from now on.
    #[must_use]
    pub fn of_route(&self, route: &'static str, successes: &[(Method, StatusCode)]) -> RouteMetrics {
        let series = |(method, status): &(Method, StatusCode)| self.requests.series(method, route, *status);
        RouteMetrics { requests: self.requests.clone(), route, successes: successes.iter().map(series).collect() }
    }

    /// The metrics of requests that no route answered.
    #[must_use]
    pub fn of_unmatched(&self) -> RouteMetrics {
        self.of_route(UNMATCHED, &[])
    }
}

/// The metrics of one route. The series of its successes are looked up once, not at every request.
#[derive(Clone)]
pub struct RouteMetrics {
    requests: Requests,
    route: &'static str,
    successes: Vec<Series>,
}

impl RouteMetrics {
    /// The pattern of the route table; `unmatched` for what no route answers.
    #[must_use]
    pub fn route(&self) -> &'static str {
        self.route
    }

    /// Counts one answered request.
    pub fn observe(&self, method: &Method, status: StatusCode, duration: Duration) {
        match self.successes.iter().find(|series| series.status == status && series.method == *method) {
            Some(series) => series.observe(duration),
            None => self.requests.series(method, self.route, status).observe(duration),
        }
    }

    /// A request is in flight until what this returns is dropped.
    #[must_use]
    pub fn begin(&self) -> InFlight {
        InFlight::begin(&self.requests.in_flight)
    }
}

/// One request in flight; also when its client hangs up, it is so no longer.
pub struct InFlight(IntGauge);

impl InFlight {
    pub(super) fn begin(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
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

/// The method as a label: a stranger's must not make a series of its own.
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
