//! The request that a line of the log, or a span, is about. It is known to all code that runs for the request without
//! being passed along, and to the database actor that executes it.

use std::fmt;

use opentelemetry::trace::{SpanId, TraceId};

tokio::task_local! {
    static CURRENT: Context;
}

/// What tells one request from all others.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    pub request_id: RequestId,
    /// The trace that the request belongs to: it came with one, or is sampled here.
    pub trace_id: Option<TraceId>,
    /// Its span, if it is sampled.
    pub span_id: Option<SpanId>,
}

impl Context {
    /// Of the request that the code which asks runs for, if there is one.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(|context| *context).ok()
    }

    /// Has a future run for this request.
    pub fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, future)
    }

    /// Has a function run for this request.
    pub fn run<T>(self, function: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self, function)
    }
}

/// The id that a request is known by to every service that it passes. A copy costs no allocation.
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
    /// The longest id that is taken from a caller, in bytes.
    pub const MAX_LENGTH: usize = 64;

    /// Parses an id. What is echoed and logged must not be of the caller's free choice: letters, digits, `.`, `_` and `-`
    /// can break neither a header nor whatever the caller's side writes it into. `None` for anything else.
    #[must_use]
    pub fn parse(id: &[u8]) -> Option<Self> {
        let is_sane = id.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte));
        let length = u8::try_from(id.len()).ok().filter(|length| *length > 0 && is_sane)?;
        let mut bytes = [0; Self::MAX_LENGTH];
        bytes.get_mut(..id.len())?.copy_from_slice(id);
        Some(Self { bytes, length })
    }

    /// The id as it was given.
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
    fn an_id_that_could_break_something_is_none() {
        assert_eq!(RequestId::parse(b"a.B_9-").unwrap().as_str(), "a.B_9-");
        assert_eq!(RequestId::parse(&[b'a'; 64]).unwrap().as_str().len(), 64);
        for id in [&b""[..], b"a b", b"a\nb", b"\"", "\u{e4}".as_bytes(), &[b'a'; 65], &[b'a'; 300]] {
            assert!(RequestId::parse(id).is_none(), "{id:?}");
        }
    }

    #[tokio::test]
    async fn it_is_known_where_the_request_is_served_and_nowhere_else() {
        let context = Context { request_id: RequestId::parse(b"mine").unwrap(), trace_id: None, span_id: None };
        let id = || Context::current().map(|context| context.request_id.to_string());
        assert_eq!(context.scope(async { id() }).await.as_deref(), Some("mine"));
        assert_eq!(context.run(id).as_deref(), Some("mine"));
        assert_eq!(id(), None);
    }
}
