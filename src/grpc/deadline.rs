use std::time::{Duration, Instant};

use tonic::codegen::http::HeaderMap;

use super::failure::Failure;

/// The header with the caller's timeout: a number of at most eight digits and a unit (gRPC over HTTP/2).
const GRPC_TIMEOUT: &str = "grpc-timeout";

/// The deadlines of a call.
pub(super) struct Deadlines {
    /// For receiving the message and producing the response. Later than `work`, so that the storage can report the
    /// outcome.
    pub(super) response: Instant,
    /// For the storage, and for a stream as a whole. `None` for streams whose caller has set no timeout.
    pub(super) work: Option<Instant>,
}

impl Deadlines {
    /// `max_timeout` applies to callers with no timeout or a longer one.
    pub(super) fn of(
        headers: &HeaderMap,
        streams: bool,
        start: Instant,
        max_timeout: Duration,
    ) -> Result<Self, Failure> {
        let callers = timeout(headers)?;
        let bounded = callers.unwrap_or(max_timeout).min(max_timeout);
        let work = if streams { callers } else { Some(bounded) };
        let work = work.and_then(|timeout| start.checked_add(shortened(timeout)));
        Ok(Self { response: start + bounded, work })
    }
}

/// The caller's timeout, if it has set one.
fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Failure> {
    match headers.get(GRPC_TIMEOUT) {
        None => Ok(None),
        Some(value) => parse(value.as_bytes()).map(Some).ok_or(Failure::InvalidTimeout),
    }
}

fn parse(text: &[u8]) -> Option<Duration> {
    let (unit, digits) = text.split_last()?;
    if !(1..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(match unit {
        b'H' => Duration::from_secs(number * 60 * 60),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

/// Subtracts the time that the response needs to reach the caller, so that the caller learns whether anything was done.
fn shortened(timeout: Duration) -> Duration {
    const MAX_MARGIN: Duration = Duration::from_millis(10);
    timeout.saturating_sub((timeout / 10).min(MAX_MARGIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_a_number_and_a_unit() {
        let cases = [
            (&b"1H"[..], Duration::from_hours(1)),
            (b"2M", Duration::from_mins(2)),
            (b"3S", Duration::from_secs(3)),
            (b"250m", Duration::from_millis(250)),
            (b"99999999u", Duration::from_micros(99_999_999)),
            (b"0n", Duration::ZERO),
        ];
        for (text, timeout) in cases {
            assert_eq!(parse(text), Some(timeout), "{text:?}");
        }
        for malformed in [&b""[..], b"S", b"1", b"1s", b"-1S", b"+1S", b" 1S", b"1 S", b"1.5S", b"123456789m", b"1S "] {
            assert_eq!(parse(malformed), None, "{malformed:?}");
        }
    }
}
