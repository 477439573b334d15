//! The span of a request, with the attributes of the semantic conventions for HTTP and RPC servers. None of them holds personal
//! data: no query, no client's address, and of the path only its pattern.

use opentelemetry::trace::{SpanRef, Status, TraceContextExt as _, TraceId};
use opentelemetry::{Context, KeyValue};
use tracing::instrument::{Instrument as _, Instrumented};
use tracing::{Span, trace_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::Parent;
use super::ids::Ids;
use super::parent;
use super::spans::TARGET;
use crate::telemetry::{self, RequestId, TracedSpan};

/// What is known of a request before it is served.
pub enum Arrived {
    Http {
        /// One of a known set; a client may invent methods, and each would be a name of its own.
        method: &'static str,
        scheme: &'static str,
        /// As in `1.1`.
        version: &'static str,
    },
    Grpc {
        /// With its service, as in `users.v1.UserService/GetUser`. `None` for what nobody knows.
        method: Option<&'static str>,
    },
}

/// The part of a request in its trace, if it has one.
pub struct RequestTrace {
    /// The caller's.
    pub(super) parent: Option<Parent>,
    pub(super) sampled: Option<Sampled>,
}

impl RequestTrace {
    /// What lines of the log and the spans of others may refer to.
    #[must_use]
    pub fn context(&self, request_id: RequestId) -> telemetry::Context {
        let callers = |Parent { trace_id, span_id, sampled }| TracedSpan { trace_id, span_id, sampled, own: false };
        let trace = self.sampled.as_ref().map(Sampled::place).or(self.parent.map(callers));
        telemetry::Context { request_id, trace, deadline: None }
    }

    /// Has the spans of what the future does be parts of this one.
    pub fn follow<F: Future>(&self, future: F) -> Instrumented<F> {
        future.instrument(self.sampled.as_ref().map_or_else(Span::none, |sampled| sampled.span.clone()))
    }

    /// Says how a request over HTTP went. `route` is the pattern of the path, such as `/api/v2/users/{id}`, if there is one.
    pub fn finish(self, route: Option<&str>, status: u16) {
        if let Some(sampled) = self.sampled {
            sampled.finish(route, status);
        }
    }

    /// Says how a call over gRPC went: with this code, and whether the service is to blame.
    pub fn finish_call(self, code: &'static str, is_failure: bool) {
        if let Some(sampled) = self.sampled {
            sampled.finish_call(code, is_failure);
        }
    }
}

/// A request that is sampled.
pub(super) struct Sampled {
    span: Span,
    context: Context,
    name: Name,
    is_finished: bool,
}

/// What a span is called by.
enum Name {
    /// This method, and the route that is known later.
    Http(&'static str),
    /// The call that it began with.
    Grpc,
}

impl Sampled {
    pub(super) fn start<'a>(
        parent: Option<Parent>,
        tracestates: impl Iterator<Item = &'a [u8]>,
        trace_id: TraceId,
        arrived: &Arrived,
    ) -> Self {
        let (span, name) = start(arrived);
        if let Some(parent) = parent {
            let context = parent.context(parent::state(tracestates));
            // Cannot fail: the span is new, and there is a subscriber.
            let _ = span.set_parent(Context::new().with_remote_span_context(context));
        }
        // A span gets its ids when its context is asked for the first time.
        let context = Ids::with_trace_id(trace_id, || span.context());
        Self { span, context, name, is_finished: false }
    }

    fn place(&self) -> TracedSpan {
        let span = self.context.span();
        let context = span.span_context();
        TracedSpan { trace_id: context.trace_id(), span_id: context.span_id(), sampled: true, own: true }
    }

    fn finish(mut self, route: Option<&str>, status: u16) {
        self.is_finished = true;
        let span = self.context.span();
        self.name(&span, route);
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
        if status >= 500 {
            fail(&span, status.to_string());
        }
    }

    fn finish_call(mut self, code: &'static str, is_failure: bool) {
        self.is_finished = true;
        let span = self.context.span();
        span.set_attribute(KeyValue::new("rpc.response.status_code", code));
        if is_failure {
            fail(&span, code.to_owned());
        }
    }

    /// Through the context: what was started cannot be renamed through `tracing`.
    fn name(&self, span: &SpanRef<'_>, route: Option<&str>) {
        let Name::Http(method) = self.name else { return };
        let method = if method == OTHER { "HTTP" } else { method };
        let Some(route) = route else {
            span.update_name(method);
            span.set_attribute(KeyValue::new("url.path", "REDACTED"));
            return;
        };
        span.update_name(format!("{method} {route}"));
        span.set_attribute(KeyValue::new("url.path", route.to_owned()));
        span.set_attribute(KeyValue::new("http.route", route.to_owned()));
    }
}

fn start(arrived: &Arrived) -> (Span, Name) {
    match *arrived {
        Arrived::Http { method, scheme, version } => {
            let method = if method == "other" { OTHER } else { method };
            let span = trace_span!(
                target: TARGET,
                parent: None,
                "request",
                otel.kind = "server",
                http.request.method = method,
                url.scheme = scheme,
                network.protocol.version = version,
            );
            (span, Name::Http(method))
        }
        Arrived::Grpc { method } => {
            let method = method.unwrap_or(OTHER);
            let span = trace_span!(
                target: TARGET,
                parent: None,
                "request",
                otel.name = method,
                otel.kind = "server",
                rpc.system.name = "grpc",
                rpc.method = method,
            );
            (span, Name::Grpc)
        }
    }
}

fn fail(span: &SpanRef<'_>, error: String) {
    span.set_attribute(KeyValue::new("error.type", error));
    span.set_status(Status::error(""));
}

/// Whoever hangs up is not answered.
impl Drop for Sampled {
    fn drop(&mut self) {
        if !self.is_finished {
            let span = self.context.span();
            self.name(&span, None);
            span.set_attribute(KeyValue::new("error.type", "cancelled"));
        }
    }
}

/// What the conventions call a method that is not known.
const OTHER: &str = "_OTHER";
