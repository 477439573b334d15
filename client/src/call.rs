//! A call, its attempts, and the headers that both protocols send.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

/// Options that apply to each call of a client.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Covers all attempts of a call.
    pub(crate) timeout: Duration,
    pub(crate) request_id: Option<RequestId>,
    pub(crate) traceparent: Option<TraceParent>,
    pub(crate) idempotency_key: Option<IdempotencyKey>,
}

/// Whether a call changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
}

/// One call, across all of its attempts.
pub(crate) struct Call {
    pub(crate) deadline: Instant,
    pub(crate) request_id: RequestId,
    traceparent: Option<TraceParent>,
    /// For a change: every attempt has the same one, so the change is made once.
    idempotency_key: Option<IdempotencyKey>,
}

impl Call {
    pub(crate) fn begin(options: &Options, kind: Kind) -> Self {
        /// Replaces timeouts that would overflow the clock.
        const LONG: Duration = Duration::from_hours(24 * 365);
        let now = Instant::now();
        Self {
            deadline: now + options.timeout.min(LONG),
            request_id: options.request_id.clone().unwrap_or_else(RequestId::random),
            traceparent: options.traceparent.clone(),
            idempotency_key: match kind {
                Kind::Read => None,
                Kind::Write => Some(options.idempotency_key.clone().unwrap_or_else(IdempotencyKey::random)),
            },
        }
    }

    /// The headers that both protocols send, without the token.
    pub(crate) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let request_id = Some((X_REQUEST_ID, self.request_id.0.as_str()));
        let traceparent = self.traceparent.as_ref().map(|it| (TRACEPARENT, it.0.as_str()));
        let key = self.idempotency_key.as_ref().map(|it| (IDEMPOTENCY_KEY, it.0.as_str()));
        for (name, value) in [request_id, traceparent, key].into_iter().flatten() {
            // All values were validated when parsed and contain only legal header characters.
            headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
        }
        headers
    }
}

/// One attempt of a call.
pub(crate) struct Attempt {
    /// The token, the request id and the trace context.
    pub(crate) headers: HeaderMap,
    /// When the caller stops waiting for the response.
    pub(crate) deadline: Instant,
}

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Identifies this client in logs.
pub(crate) const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// Identifies a request in every service it passes through: 1 to 64 letters, digits, `.`, `_` or `-`.
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

/// What a change is called, so that it is made once however often it is sent: 1 to 255 visible ASCII characters, of which
/// the first is no quote.
///
/// ```
/// use user_service_client::IdempotencyKey;
///
/// assert!("order-17/user".parse::<IdempotencyKey>().is_ok());
/// assert!("order 17".parse::<IdempotencyKey>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    fn random() -> Self {
        // In ascending order, which the service's database likes best.
        Self(uuid::Uuid::now_v7().to_string())
    }
}

impl FromStr for IdempotencyKey {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let valid = (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        let valid = valid && !text.starts_with('"');
        valid.then(|| Self(text.to_owned())).ok_or(Malformed("1 to 255 visible ASCII characters, the first no quote"))
    }
}

/// The span that a call belongs to, as the `traceparent` header of W3C Trace Context.
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

/// Versions after 00 may have more parts.
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

/// A text does not have the required format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be {0}")]
pub struct Malformed(&'static str);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_follow_the_services_rules() {
        let longest = "a".repeat(64);
        for text in ["1", "abc-DEF_1.2", &longest, &RequestId::random().0] {
            assert_eq!(text.parse::<RequestId>().unwrap().as_str(), text);
        }
        for text in ["", "a b", "a/b", "é", "a\n", &"a".repeat(65)] {
            assert!(text.parse::<RequestId>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_key_is_visible_ascii() {
        for text in ["1", "a/b;c=\"d\"", &"a".repeat(255), &IdempotencyKey::random().0] {
            assert!(text.parse::<IdempotencyKey>().is_ok(), "{text}");
        }
        for text in ["", "a b", "\"a\"", "é", "a\n", &"a".repeat(256)] {
            assert!(text.parse::<IdempotencyKey>().is_err(), "{text}");
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
    fn every_attempt_sends_the_same_headers() {
        let options = Options { timeout: Duration::MAX, request_id: None, traceparent: None, idempotency_key: None };
        let call = Call::begin(&options, Kind::Write);
        assert_eq!(call.headers(), call.headers());
        assert_eq!(call.headers()[X_REQUEST_ID], call.request_id.as_str());
        assert_ne!(call.headers()[IDEMPOTENCY_KEY], Call::begin(&options, Kind::Write).headers()[IDEMPOTENCY_KEY]);
        assert!(!Call::begin(&options, Kind::Read).headers().contains_key(IDEMPOTENCY_KEY));
    }
}
