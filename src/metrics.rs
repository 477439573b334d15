//! The registry, and every metric's name, help and buckets.

use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use prometheus::process_collector::ProcessCollector;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry, TextEncoder};

/// The content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The route of a request that no route answered.
const UNMATCHED: &str = "unmatched";

/// Seconds. A look-up takes tenths of a millisecond; the deadline is a few seconds.
const DURATION_BUCKETS: [f64; 14] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

const REQUEST_LABELS: [&str; 3] = ["method", "route", "status"];

/// The service's metrics. Clones share one registry.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    durations: HistogramVec,
}

impl Metrics {
    /// Registers every metric.
    ///
    /// # Errors
    /// When two have the same name.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let requests =
            IntCounterVec::new(Opts::new("http_requests_total", "HTTP requests answered."), &REQUEST_LABELS)?;
        let options = HistogramOpts::new(
            "http_request_duration_seconds",
            "Time from a request's head to its response's, without the transfer of bodies that are sent later.",
        );
        let durations = HistogramVec::new(options.buckets(DURATION_BUCKETS.to_vec()), &REQUEST_LABELS)?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(durations.clone()))?;
        registry.register(Box::new(ProcessCollector::for_self()))?;
        Ok(Self { registry, requests, durations })
    }

    /// The metrics of one route: a pattern of the route table, never a path. Its successes exist, at zero, from now on.
    #[must_use]
    pub fn of_route(&self, route: &'static str, successes: &[(Method, StatusCode)]) -> RouteMetrics {
        let series = |(method, status): &(Method, StatusCode)| self.series(method, route, *status);
        RouteMetrics { metrics: self.clone(), route, successes: successes.iter().map(series).collect() }
    }

    /// The metrics of requests that no route answered.
    #[must_use]
    pub fn of_unmatched(&self) -> RouteMetrics {
        self.of_route(UNMATCHED, &[])
    }

    fn series(&self, method: &Method, route: &str, status: StatusCode) -> Series {
        let labels = [method_label(method), route, status.as_str()];
        Series {
            method: method.clone(),
            status,
            requests: self.requests.with_label_values(&labels),
            durations: self.durations.with_label_values(&labels),
        }
    }

    /// All metrics in Prometheus' text format.
    #[must_use]
    pub fn encode(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_else(|error| {
            log::error!("cannot encode the metrics: {error}");
            String::new()
        })
    }
}

/// The metrics of one route. The series of its successes are looked up once, not at every request.
#[derive(Clone)]
pub struct RouteMetrics {
    metrics: Metrics,
    route: &'static str,
    successes: Vec<Series>,
}

impl RouteMetrics {
    /// Counts one answered request.
    pub fn observe(&self, method: &Method, status: StatusCode, duration: Duration) {
        match self.successes.iter().find(|series| series.status == status && series.method == *method) {
            Some(series) => series.observe(duration),
            None => self.metrics.series(method, self.route, status).observe(duration),
        }
    }
}

#[derive(Clone)]
struct Series {
    method: Method,
    status: StatusCode,
    requests: IntCounter,
    durations: Histogram,
}

impl Series {
    fn observe(&self, duration: Duration) {
        self.requests.inc();
        self.durations.observe(duration.as_secs_f64());
    }
}

/// A stranger's method must not make a series of its own.
fn method_label(method: &Method) -> &str {
    match *method {
        Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::PATCH | Method::DELETE | Method::OPTIONS => {
            method.as_str()
        }
        _ => "other",
    }
}
