//! The request that a log line or a span belongs to.
//!
//! All code that runs for a request knows its context without being passed it, and so does the database actor that
//! executes its message.

use std::fmt;
use std::time::Instant;

use opentelemetry::trace::{SpanId, TraceId};
use uuid::Uuid;

tokio::task_local! {
    static CURRENT: Context;
}

/// Identifies a request.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    pub request_id: RequestId,
    /// The request's trace, if it came with one or is sampled here.
    pub trace: Option<TracedSpan>,
    /// When the caller stops waiting for the response, if it said so.
    pub deadline: Option<Instant>,
}

/// A span of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TracedSpan {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    /// Whether the span is recorded.
    pub sampled: bool,
    /// Whether this is the request's own span, and not its caller's.
    pub own: bool,
}

/// Writes a header `traceparent` (W3C Trace Context).
impl fmt::Display for TracedSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}

impl Context {
    /// The context of the request that this code runs for, if there is one.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(|context| *context).ok()
    }

    /// The request's own span, if it is sampled here.
    #[must_use]
    pub fn span(&self) -> Option<TracedSpan> {
        self.trace.filter(|span| span.own)
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

/// The id of a request in all services that it passes. Copying it allocates nothing.
#[derive(Clone, Copy)]
pub struct RequestId {
    bytes: [u8; Self::MAX_LENGTH],
    length: u8,
}

impl Default for RequestId {
    /// An empty one.
    fn default() -> Self {
        Self { bytes: [0; Self::MAX_LENGTH], length: 0 }
    }
}

impl RequestId {
    /// The longest id that is accepted from a caller, in bytes.
    pub const MAX_LENGTH: usize = 64;

    /// Parses an id. It is echoed and logged, so it may contain only letters, digits, `.`, `_` and `-`, which can break
    /// neither a header nor the caller's log. `None` for anything else.
    #[must_use]
    pub fn parse(id: &[u8]) -> Option<Self> {
        let is_sane = id.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte));
        let length = u8::try_from(id.len()).ok().filter(|length| *length > 0 && is_sane)?;
        let mut bytes = [0; Self::MAX_LENGTH];
        bytes.get_mut(..id.len())?.copy_from_slice(id);
        Some(Self { bytes, length })
    }

    /// A new, unique id: a random UUID (RFC 9562).
    #[must_use]
    pub fn random() -> Self {
        let mut buffer = Uuid::encode_buffer();
        let text = Uuid::new_v4().simple().encode_lower(&mut buffer);
        // Hexadecimal digits always are a valid id.
        Self::parse(text.as_bytes()).unwrap_or_default()
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let id = self.bytes.get(..self.length.into()).unwrap_or_default();
        std::str::from_utf8(id).unwrap_or_default()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unsafe_id_is_rejected() {
        assert_eq!(RequestId::parse(b"a.B_9-").unwrap().as_str(), "a.B_9-");
        assert_eq!(RequestId::parse(&[b'a'; 64]).unwrap().as_str().len(), 64);
        for id in [&b""[..], b"a b", b"a\nb", b"\"", "\u{e4}".as_bytes(), &[b'a'; 65], &[b'a'; 300]] {
            assert!(RequestId::parse(id).is_none(), "{id:?}");
        }
    }

    #[test]
    fn a_span_is_written_as_a_traceparent() {
        let (trace_id, span_id) =
            (TraceId::from(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736), SpanId::from(0xf0_67aa_0ba9_02b7));
        let span = TracedSpan { trace_id, span_id, sampled: true, own: false };
        assert_eq!(span.to_string(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        assert!(TracedSpan { sampled: false, ..span }.to_string().ends_with("-00"));
    }

    #[tokio::test]
    async fn the_context_is_known_only_where_the_request_is_served() {
        let context = Context { request_id: RequestId::parse(b"mine").unwrap(), trace: None, deadline: None };
        let id = || Context::current().map(|context| context.request_id.to_string());
        assert_eq!(context.scope(async { id() }).await.as_deref(), Some("mine"));
        assert_eq!(context.run(id).as_deref(), Some("mine"));
        assert_eq!(id(), None);
    }
}
