//! The request that a line of the log, or a span, is about. It is known to all code that runs for the request without
//! being passed along, and to the database actor that executes it.

use std::fmt;

tokio::task_local! {
    static CURRENT: Context;
}

/// What tells one request from all others.
#[derive(Clone, Debug)]
pub struct Context {
    pub request_id: RequestId,
    /// The trace that the request belongs to, when it came with one.
    pub trace: Option<TraceParent>,
}

impl Context {
    /// Of the request that the code which asks runs for, if there is one.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    /// Looks at the current one, without a copy.
    pub fn with_current<T>(look: impl FnOnce(&Self) -> T) -> Option<T> {
        CURRENT.try_with(look).ok()
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

/// Where in a trace the caller is (W3C Trace Context, `traceparent`, version 00).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    pub trace_id: u128,
    pub span_id: u64,
    /// Whether the caller records its part of the trace.
    pub is_sampled: bool,
}

impl TraceParent {
    /// Parses the header. `None` when it is malformed, and then there is no trace (3.2.2.4).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (Some("00"), Some(trace), Some(span), Some(flags), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        let is_hex =
            |part: &str, length| part.len() == length && part.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
        if !(is_hex(trace, 32) && is_hex(span, 16) && is_hex(flags, 2)) {
            return None;
        }
        let trace_id = u128::from_str_radix(trace, 16).ok().filter(|id| *id != 0)?;
        let span_id = u64::from_str_radix(span, 16).ok().filter(|id| *id != 0)?;
        let is_sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
        Some(Self { trace_id, span_id, is_sampled })
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

    #[test]
    fn only_a_valid_parent_is_one() {
        let valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let expected = TraceParent {
            trace_id: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736,
            span_id: 0x00f0_67aa_0ba9_02b7,
            is_sampled: true,
        };
        assert_eq!(TraceParent::parse(valid), Some(expected));
        let unsampled = valid.replace("-01", "-02");
        assert_eq!(TraceParent::parse(&unsampled), Some(TraceParent { is_sampled: false, ..expected }));
        for text in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-+1",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceParent::parse(text), None, "{text:?}");
        }
    }

    #[tokio::test]
    async fn it_is_known_where_the_request_is_served_and_nowhere_else() {
        let context = Context { request_id: RequestId::parse(b"mine").unwrap(), trace: None };
        let id = || Context::with_current(|context| context.request_id.to_string());
        assert_eq!(context.clone().scope(async { id() }).await.as_deref(), Some("mine"));
        assert_eq!(context.run(id).as_deref(), Some("mine"));
        assert_eq!(id(), None);
    }
}
