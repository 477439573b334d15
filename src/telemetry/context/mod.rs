//! The request that the current code runs for. Log lines, spans and database actors refer to it without having it
//! passed along as an argument.

mod request_id;

use std::fmt;
use std::time::Instant;

use opentelemetry::trace::{SpanId, TraceId};

pub use request_id::RequestId;

tokio::task_local! {
    static CURRENT: Context;
}

/// Identifies a request.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    pub request_id: RequestId,
    /// The request's place in a trace, if the caller sent one or the request is sampled.
    pub trace: Option<TracedSpan>,
    /// When the caller stops waiting for the response, if it has set a deadline.
    pub deadline: Option<Instant>,
}

/// A span of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TracedSpan {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    /// Whether the span is recorded.
    pub sampled: bool,
    /// Whether this is the request's own span. Otherwise it is the caller's.
    pub own: bool,
}

/// Formats the place as a `traceparent` header (W3C Trace Context).
impl fmt::Display for TracedSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}

impl Context {
    /// The context of the request that the current code runs for, if any.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(|context| *context).ok()
    }

    /// The request's own span, if it is sampled.
    #[must_use]
    pub fn span(&self) -> Option<TracedSpan> {
        self.trace.filter(|place| place.own)
    }

    /// Runs a future in this context.
    pub fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, future)
    }

    /// Runs a function in this context.
    pub fn run<T>(self, function: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self, function)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_formatted_as_a_traceparent() {
        let (trace_id, span_id) =
            (TraceId::from(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736), SpanId::from(0xf0_67aa_0ba9_02b7));
        let place = TracedSpan { trace_id, span_id, sampled: true, own: false };
        assert_eq!(place.to_string(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        assert!(TracedSpan { sampled: false, ..place }.to_string().ends_with("-00"));
    }

    #[tokio::test]
    async fn the_context_is_set_only_within_its_scope() {
        let context = Context { request_id: RequestId::parse(b"mine").unwrap(), trace: None, deadline: None };
        let id = || Context::current().map(|context| context.request_id.to_string());
        assert_eq!(context.scope(async { id() }).await.as_deref(), Some("mine"));
        assert_eq!(context.run(id).as_deref(), Some("mine"));
        assert_eq!(id(), None);
    }
}
