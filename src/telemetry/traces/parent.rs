//! The caller's span, from the `traceparent` and `tracestate` headers (W3C Trace Context).

use std::str::FromStr as _;

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// The content of `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parent {
    pub(super) trace_id: TraceId,
    pub(super) span_id: SpanId,
    /// Whether the caller records the trace.
    pub(super) sampled: bool,
}

impl Parent {
    /// `None` unless there is exactly one valid header. Then a new trace begins.
    ///
    /// The SDK's parser is too lenient: it accepts short ids, signs and a second header.
    pub(super) fn read<'a>(mut traceparents: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let only = traceparents.next()?;
        if traceparents.next().is_some() { None } else { Self::parse(only) }
    }

    /// Parses `00-<32 digits>-<16 digits>-<2 digits>`. Later versions may append further parts after a dash.
    fn parse(text: &[u8]) -> Option<Self> {
        let (version, rest) = text.split_at_checked(2)?;
        let (high, rest) = rest.strip_prefix(b"-")?.split_at_checked(16)?;
        let (low, rest) = rest.split_at_checked(16)?;
        let (span_id, rest) = rest.strip_prefix(b"-")?.split_at_checked(16)?;
        let (flags, more) = rest.strip_prefix(b"-")?.split_at_checked(2)?;
        let (version, flags) = (hex(version)?, hex(flags)?);
        let trace_id = TraceId::from(u128::from(hex(high)?) << 64 | u128::from(hex(low)?));
        let span_id = SpanId::from(hex(span_id)?);
        let ends_well = more.is_empty() || (version > 0 && more.starts_with(b"-"));
        let valid = version != 0xff && ends_well && trace_id != TraceId::INVALID && span_id != SpanId::INVALID;
        valid.then_some(Self { trace_id, span_id, sampled: flags & 1 == 1 })
    }

    pub(super) fn context(self, state: TraceState) -> SpanContext {
        let flags = TraceFlags::default().with_sampled(self.sampled);
        SpanContext::new(self.trace_id, self.span_id, flags, true, state)
    }
}

/// Parses up to 16 digits, which the standard requires to be lower case.
fn hex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |value, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u64::from(digit))
    })
}

/// The state of other tracing systems, to be passed on. Several headers form one list. Empty if the list is malformed.
pub(super) fn state<'a>(tracestates: impl Iterator<Item = &'a [u8]>) -> TraceState {
    let texts = Vec::from_iter(tracestates.filter_map(|text| str::from_utf8(text).ok()));
    if texts.is_empty() { TraceState::NONE } else { TraceState::from_str(&texts.join(",")).unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn read(text: &str) -> Option<Parent> {
        Parent::read([text.as_bytes()].into_iter())
    }

    #[test]
    fn reads_ids_and_the_flag() {
        let parent = read(GOOD).unwrap();
        assert_eq!(parent.trace_id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(parent.span_id.to_string(), "00f067aa0ba902b7");
        assert!(parent.sampled);
        assert!(!read(&GOOD.replace("-01", "-02")).unwrap().sampled);
    }

    #[test]
    fn accepts_later_versions() {
        for text in [GOOD.replacen("00", "01", 1), GOOD.replacen("00", "cc", 1) + "-what-ever"] {
            assert!(read(&text).unwrap().sampled, "{text}");
        }
    }

    #[test]
    fn rejects_malformed_headers() {
        let long = format!("{GOOD}-");
        let longer = format!("01{}x", &GOOD[2..]);
        for text in [
            "",
            "00",
            &GOOD[..54],
            &long,
            &longer,
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "+0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(Parent::read([GOOD.as_bytes(), GOOD.as_bytes()].into_iter()), None);
    }

    #[test]
    fn joins_states() {
        let joined = state([b"a=1,b=2".as_slice(), b"c=3"].into_iter());
        assert_eq!(joined.header(), "a=1,b=2,c=3");
        assert_eq!(state([b"nonsense".as_slice()].into_iter()), TraceState::NONE);
    }
}
