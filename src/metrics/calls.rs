//! gRPC calls, by what they asked for and how they ended.

use std::time::Duration;

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, Registry};

use super::requests::InFlight;
use super::{DURATION_BUCKETS, Metrics, counters, histograms, register};

const CALLS: &str = "gRPC calls answered; a stream when it has ended.";
const DURATION: &str = "Time from a gRPC call's arrival to its answer, without streams.";
const IN_FLIGHT: &str = "gRPC calls that are not answered yet, and streams that have not ended.";

const LABELS: [&str; 2] = ["method", "code"];

/// The method of a call that no method answered.
const UNMATCHED: &str = "unmatched";
const OK: &str = "OK";

#[derive(Clone)]
pub(super) struct Calls {
    answered: IntCounterVec,
    durations: HistogramVec,
    in_flight: IntGauge,
}

impl Calls {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            answered: counters(registry, "grpc_requests_total", CALLS, &LABELS)?,
            durations: histograms(registry, "grpc_request_duration_seconds", DURATION, &LABELS, &DURATION_BUCKETS)?,
            in_flight: register(registry, IntGauge::new("grpc_requests_in_flight", IN_FLIGHT)?)?,
        })
    }
}

impl Metrics {
    /// The metrics of one method: with its service, as in `users.v1.UserService/GetUser`. That it was answered exists, at zero,
    /// from now on.
    #[must_use]
    pub fn of_method(&self, method: &'static str) -> MethodMetrics {
        let answered = self.calls.answered.with_label_values(&[method, OK]);
        MethodMetrics { calls: self.calls.clone(), method, answered, durations: None }
    }

    /// The metrics of one method whose answer is a single message. How long that took exists from now on too.
    #[must_use]
    pub fn of_unary_method(&self, method: &'static str) -> MethodMetrics {
        let durations = Some(self.calls.durations.with_label_values(&[method, OK]));
        MethodMetrics { durations, ..self.of_method(method) }
    }

    /// The metrics of calls that no method answered.
    #[must_use]
    pub fn of_unmatched_calls(&self) -> MethodMetrics {
        let answered = self.calls.answered.with_label_values(&[UNMATCHED, "UNIMPLEMENTED"]);
        MethodMetrics { calls: self.calls.clone(), method: UNMATCHED, answered, durations: None }
    }
}

/// The metrics of one method. The series of its successes are looked up once, not at every call.
#[derive(Clone)]
pub struct MethodMetrics {
    calls: Calls,
    method: &'static str,
    answered: IntCounter,
    /// None for streams.
    durations: Option<Histogram>,
}

impl MethodMetrics {
    /// The method; `unmatched` for what no method answers.
    #[must_use]
    pub fn method(&self) -> &'static str {
        self.method
    }

    /// Counts one call that ended with this code: the name of a gRPC status, as in `NOT_FOUND`.
    pub fn observe(&self, code: &'static str, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let Self { calls, method, answered, durations } = self;
        match durations {
            Some(durations) if code == OK => {
                answered.inc();
                durations.observe(seconds);
            }
            _ => {
                calls.answered.with_label_values(&[method, code]).inc();
                if durations.is_some() {
                    calls.durations.with_label_values(&[method, code]).observe(seconds);
                }
            }
        }
    }

    /// A call is in flight until what this returns is dropped.
    #[must_use]
    pub fn begin(&self) -> InFlight {
        InFlight::begin(&self.calls.in_flight)
    }
}
