//! The spans inside of a request, and those of the database actors.

use opentelemetry::trace::SpanContext;
use tracing::instrument::{Instrument as _, Instrumented};
use tracing::{Span, trace_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::subscriber;

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
    /// Begins a trace of its own: it serves many requests, each of which it links. `system` is the database, by the name
    /// that the semantic conventions give it.
    pub fn start(
        system: &'static str,
        lane: &'static str,
        size: usize,
        requests: impl Iterator<Item = SpanContext>,
    ) -> Self {
        let mut requests = requests.peekable();
        if requests.peek().is_none() {
            return Self(Span::none());
        }
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        let span = trace_span!(
            target: TARGET,
            parent: None,
            "batch",
            otel.status_code = tracing::field::Empty,
            db.system.name = system,
            // An unsigned number would become a text.
            db.operation.batch.size = size,
            user_service.lane = lane,
        );
        requests.for_each(|request| span.add_link(request));
        Self(span)
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
