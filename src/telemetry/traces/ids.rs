//! Generates the ids of traces and spans.

use std::cell::Cell;

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};

thread_local! {
    /// The trace id for the root span that this thread is about to start.
    static CHOSEN: Cell<Option<TraceId>> = const { Cell::new(None) };
}

/// Generates random ids. But a root span gets the trace id that the sampling decision was based on, so that other
/// services with the same ratio come to the same decision.
#[derive(Debug, Default)]
pub(super) struct Ids(RandomIdGenerator);

impl Ids {
    pub(super) fn random() -> TraceId {
        RandomIdGenerator::default().new_trace_id()
    }

    /// Runs `start`, which starts a root span, with this trace id.
    pub(super) fn with_trace_id<T>(trace_id: TraceId, start: impl FnOnce() -> T) -> T {
        CHOSEN.set(Some(trace_id));
        let started = start();
        CHOSEN.set(None);
        started
    }
}

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        CHOSEN.take().unwrap_or_else(|| self.0.new_trace_id())
    }

    fn new_span_id(&self) -> SpanId {
        self.0.new_span_id()
    }
}
