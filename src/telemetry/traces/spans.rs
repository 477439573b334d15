//! The spans inside of a request, and those of the database actors.

use opentelemetry::trace::{SpanContext, TraceFlags, TraceState};
use tracing::instrument::{Instrument as _, Instrumented};
use tracing::{Span, trace_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::subscriber;
use crate::telemetry::Context;

/// Of all our spans. Their level is TRACE, which a release build's `log` leaves out: they must not be lines of the log.
pub(super) const TARGET: &str = env!("CARGO_PKG_NAME");

/// Runs a use case as a span of the request that it is for, if that is sampled.
pub fn use_case<F: Future>(name: &'static str, future: F) -> Instrumented<F> {
    // While there are no traces, this costs less than to look for the request.
    let span = if subscriber::is_installed() { start_use_case(name) } else { Span::none() };
    future.instrument(span)
}

fn start_use_case(name: &'static str) -> Span {
    let request = Span::current();
    if request.is_none() {
        return request;
    }
    trace_span!(target: TARGET, parent: &request, "use case", otel.name = name)
}

/// The span of a batch, if one of its requests is sampled.
pub struct BatchSpan(Span);

impl BatchSpan {
    /// Begins a trace of its own, if `is_sampled`: it serves many requests. `system` is the database, by the name that the
    /// semantic conventions give it.
    #[must_use]
    pub fn start(system: &'static str, lane: &'static str, is_sampled: bool) -> Self {
        if !is_sampled {
            return Self(Span::none());
        }
        Self(trace_span!(
            target: TARGET,
            parent: None,
            "batch",
            otel.status_code = tracing::field::Empty,
            db.system.name = system,
            user_service.lane = lane,
        ))
    }

    /// Links the requests that it has served: those that are sampled, of all of them.
    pub fn serves(&self, requests: impl Iterator<Item = Option<Context>>) {
        if self.0.is_none() {
            return;
        }
        let mut size: i64 = 0;
        for request in requests {
            size += 1;
            if let Some(span) = request.as_ref().and_then(Context::span) {
                let state = TraceState::NONE;
                self.0.add_link(SpanContext::new(span.trace_id, span.span_id, TraceFlags::SAMPLED, false, state));
            }
        }
        // Not of a batch of one, say the conventions.
        if size > 1 {
            self.0.set_attribute("db.operation.batch.size", size);
        }
    }

    /// Runs its transaction.
    ///
    /// # Errors
    /// Those of the transaction.
    pub fn transaction<T, E>(&self, system: &'static str, run: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        if self.0.is_none() {
            return run();
        }
        let span = trace_span!(
            target: TARGET,
            parent: &self.0,
            "transaction",
            otel.kind = "client",
            otel.status_code = tracing::field::Empty,
            db.system.name = system,
        );
        let result = span.in_scope(run);
        if result.is_err() {
            // What went wrong is in the log; here it could hold data.
            span.record("otel.status_code", "ERROR");
            self.0.record("otel.status_code", "ERROR");
        }
        result
    }
}
