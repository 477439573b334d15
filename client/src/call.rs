//! What a call carries with it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

/// What the calls of a client have in common.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// For all attempts of a call together.
    pub(crate) timeout: Duration,
    pub(crate) request_id: Option<RequestId>,
    pub(crate) traceparent: Option<TraceParent>,
}

/// One call, however often it is tried.
pub(crate) struct Call {
    pub(crate) deadline: Instant,
    pub(crate) request_id: RequestId,
    traceparent: Option<TraceParent>,
}

impl Call {
    pub(crate) fn begin(options: &Options) -> Self {
        /// For a timeout beyond what a clock can tell.
        const LONG: Duration = Duration::from_hours(24 * 365);
        let now = Instant::now();
        Self {
            deadline: now + options.timeout.min(LONG),
            request_id: options.request_id.clone().unwrap_or_else(RequestId::random),
            traceparent: options.traceparent.clone(),
        }
    }

    /// What both protocols send along, besides the token.
    pub(crate) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let request_id = Some((X_REQUEST_ID, self.request_id.0.as_str()));
        let traceparent = self.traceparent.as_ref().map(|it| (TRACEPARENT, it.0.as_str()));
        for (name, value) in [request_id, traceparent].into_iter().flatten() {
            // Both were parsed: they have no other characters than a header may have.
            headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
        }
        headers
    }
}

/// One attempt of a call.
pub(crate) struct Attempt {
    /// The token, the request's id and the trace.
    pub(crate) headers: HeaderMap,
    /// When nobody waits for the answer any more.
    pub(crate) deadline: Instant,
}

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The id that a request is known by to every service that it passes: 1 to 64 letters, digits, `.`, `_` or `-`.
///
/// ```
/// use user_service_client::RequestId;
///
/// assert!("order-17.checkout".parse::<RequestId>().is_ok());
/// assert!("order 17".parse::<RequestId>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(String);

impl RequestId {
    fn random() -> Self {
        Self(format!("{:032x}", fastrand::u128(..)))
    }

    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RequestId {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let sane = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let valid = (1..=64).contains(&text.len()) && text.bytes().all(sane);
        valid.then(|| Self(text.to_owned())).ok_or(Malformed("1 to 64 letters, digits, `.`, `_` or `-`"))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The span that a call belongs to, as the header `traceparent` of W3C Trace Context.
///
/// ```
/// use user_service_client::TraceParent;
///
/// assert!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse::<TraceParent>().is_ok());
/// assert!("4bf92f3577b34da6a3ce929d0e0e4736".parse::<TraceParent>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TraceParent(String);

impl FromStr for TraceParent {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        is_traceparent(text).then(|| Self(text.to_owned())).ok_or(Malformed("a traceparent of W3C Trace Context"))
    }
}

/// Later versions may have more parts.
fn is_traceparent(text: &str) -> bool {
    let hex =
        |part: &str, length| part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let id = |part: &str, length| hex(part, length) && part.bytes().any(|byte| byte != b'0');
    let mut parts = text.splitn(5, '-');
    let mut part = || parts.next().unwrap_or_default();
    let version = part();
    let begins_well = hex(version, 2) && version != "ff" && id(part(), 32) && id(part(), 16) && hex(part(), 2);
    begins_well && parts.next().is_none_or(|rest| version != "00" && HeaderValue::from_str(rest).is_ok())
}

/// That a text is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be {0}")]
pub struct Malformed(&'static str);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_is_what_the_service_takes() {
        let longest = "a".repeat(64);
        for text in ["1", "abc-DEF_1.2", &longest, &RequestId::random().0] {
            assert_eq!(text.parse::<RequestId>().unwrap().as_str(), text);
        }
        for text in ["", "a b", "a/b", "é", "a\n", &"a".repeat(65)] {
            assert!(text.parse::<RequestId>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_traceparent_has_ids_and_flags() {
        for text in [
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        ] {
            assert!(text.parse::<TraceParent>().is_ok(), "{text}");
        }
        for text in [
            "",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-a\nb",
        ] {
            assert!(text.parse::<TraceParent>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_same_is_sent_with_each_attempt() {
        let options = Options { timeout: Duration::MAX, request_id: None, traceparent: None };
        let call = Call::begin(&options);
        assert_eq!(call.headers(), call.headers());
        assert_eq!(call.headers()[X_REQUEST_ID], call.request_id.as_str());
    }
}
