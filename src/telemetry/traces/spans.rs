//! The spans within a request, and those of the database actors.

use opentelemetry::trace::{SpanContext, TraceFlags, TraceState};
use tracing::instrument::{Instrument as _, Instrumented};
use tracing::{Span, trace_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::subscriber::{self, TARGET};
use crate::telemetry::context::Context;

/// Runs a use case in a child span of its request, if that is sampled.
pub fn use_case<F: Future>(name: &'static str, future: F) -> Instrumented<F> {
    // When tracing is off, this is cheaper than looking up the request's span.
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

/// The span of a batch. Exists only if one of its requests is sampled.
pub struct BatchSpan(Span);

impl BatchSpan {
    /// Starts a trace of its own if `is_sampled`, since the batch serves many requests. `system` is the database's name
    /// in the semantic conventions.
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

    /// Links the sampled ones of the requests that the batch has served.
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
        // The conventions omit the size of a batch of one.
        if size > 1 {
            self.0.set_attribute("db.operation.batch.size", size);
        }
    }

    /// Runs the batch's transaction in a span.
    ///
    /// # Errors
    /// The errors of the transaction.
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
            // The error is in the log. It could contain personal data, so it is not in the span.
            span.record("otel.status_code", "ERROR");
            self.0.record("otel.status_code", "ERROR");
        }
        result
    }
}
