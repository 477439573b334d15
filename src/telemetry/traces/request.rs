//! The span of a request, with the attributes of the semantic conventions for HTTP and RPC servers. No attribute
//! contains personal data: no query, no client address, and only the pattern of the path.

use opentelemetry::trace::{SpanRef, Status, TraceContextExt as _, TraceId};
use opentelemetry::{Context, KeyValue};
use tracing::instrument::{Instrument as _, Instrumented};
use tracing::{Span, trace_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::ids::Ids;
use super::parent::{self, Parent};
use super::subscriber::TARGET;
use crate::telemetry::context::{self, RequestId, TracedSpan};

/// What is known of a request when it arrives.
pub enum Arrived {
    Http {
        /// From a fixed set: clients can invent methods, and each would become a span name.
        method: &'static str,
        scheme: &'static str,
        /// Such as `1.1`.
        version: &'static str,
    },
    Grpc {
        /// The service and the method, such as `users.v1.UserService/GetUser`. `None` for unknown methods.
        method: Option<&'static str>,
    },
}

/// A request's place in its trace, if it has one.
pub struct RequestTrace {
    /// The caller's span.
    pub(super) parent: Option<Parent>,
    pub(super) sampled: Option<Sampled>,
}

impl RequestTrace {
    /// The context that log lines and other spans refer to.
    #[must_use]
    pub fn context(&self, request_id: RequestId) -> context::Context {
        let callers = |Parent { trace_id, span_id, sampled }| TracedSpan { trace_id, span_id, sampled, own: false };
        let trace = self.sampled.as_ref().map(Sampled::place).or(self.parent.map(callers));
        context::Context { request_id, trace, deadline: None }
    }

    /// Runs a future whose spans become children of this request's span.
    pub fn follow<F: Future>(&self, future: F) -> Instrumented<F> {
        future.instrument(self.sampled.as_ref().map_or_else(Span::none, |sampled| sampled.span.clone()))
    }

    /// Ends the span of an HTTP request. `route` is the pattern of the path, such as `/api/v2/users/{id}`, if a route
    /// matched.
    pub fn finish(self, route: Option<&str>, status: u16) {
        if let Some(sampled) = self.sampled {
            sampled.finish(route, status);
        }
    }

    /// Ends the span of a gRPC call. `is_failure` means that the service is at fault.
    pub fn finish_call(self, code: &'static str, is_failure: bool) {
        if let Some(sampled) = self.sampled {
            sampled.finish_call(code, is_failure);
        }
    }
}

/// The span of a sampled request.
pub(super) struct Sampled {
    span: Span,
    context: Context,
    name: Name,
    is_finished: bool,
}

/// How the span gets its name.
enum Name {
    /// From this method, and the route once it is known.
    Http(&'static str),
    /// From the gRPC method that the span started with.
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
            // Cannot fail: the span is new and a subscriber is installed.
            let _ = span.set_parent(Context::new().with_remote_span_context(context));
        }
        // A span gets its ids when its context is first requested.
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

    /// Renames the span through its context, since `tracing` cannot rename a started span.
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

/// A request is dropped without a response when its client disconnects.
impl Drop for Sampled {
    fn drop(&mut self) {
        if !self.is_finished {
            let span = self.context.span();
            self.name(&span, None);
            span.set_attribute(KeyValue::new("error.type", "cancelled"));
        }
    }
}

/// The name of unknown methods in the conventions.
const OTHER: &str = "_OTHER";
