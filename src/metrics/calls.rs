//! gRPC calls by method and status code.

use std::time::Duration;

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, Registry};

use super::in_flight::InFlight;
use super::register::{DURATION_BUCKETS, counters, histograms, register};

const CALLS: &str = "gRPC calls answered; a stream when it has ended.";
const DURATION: &str = "Time from a gRPC call's arrival to its answer, without streams.";
const IN_FLIGHT: &str = "gRPC calls that are not answered yet, and streams that have not ended.";

const LABELS: [&str; 2] = ["method", "code"];

/// The label of calls to unknown methods.
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

/// The metrics of one method. Keeps the series of its successes, to save a look-up per call.
#[derive(Clone)]
pub struct MethodMetrics {
    calls: Calls,
    method: &'static str,
    answered: IntCounter,
    /// `None` for streams.
    durations: Option<Histogram>,
}

impl MethodMetrics {
    pub(super) fn streaming(calls: &Calls, method: &'static str) -> Self {
        let answered = calls.answered.with_label_values(&[method, OK]);
        Self { calls: calls.clone(), method, answered, durations: None }
    }

    pub(super) fn unary(calls: &Calls, method: &'static str) -> Self {
        let durations = Some(calls.durations.with_label_values(&[method, OK]));
        Self { durations, ..Self::streaming(calls, method) }
    }

    pub(super) fn unmatched(calls: &Calls) -> Self {
        let answered = calls.answered.with_label_values(&[UNMATCHED, "UNIMPLEMENTED"]);
        Self { calls: calls.clone(), method: UNMATCHED, answered, durations: None }
    }

    /// The method, or `unmatched`.
    #[must_use]
    pub fn method(&self) -> &'static str {
        self.method
    }

    /// Counts a call that ended with this code: the name of a gRPC status, such as `NOT_FOUND`.
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

    /// Counts a call as in flight until the returned guard is dropped.
    #[must_use]
    pub fn begin(&self) -> InFlight {
        InFlight::begin(&self.calls.in_flight)
    }
}
