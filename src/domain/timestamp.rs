//! Timestamps.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, Utc};

/// A point in time in UTC, in whole microseconds, which is PostgreSQL's resolution. With a finer one, the response to a
/// write would differ from what is read later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The current time.
    #[must_use]
    pub fn now() -> Self {
        Self(Utc::now().timestamp_micros())
    }

    /// From microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_unix_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// So long before this moment, or the beginning of time.
    #[must_use]
    pub fn before(self, age: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(age.as_micros()).unwrap_or(i64::MAX)))
    }

    /// So long after this moment.
    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(time.as_micros()).unwrap_or(i64::MAX)))
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn unix_micros(self) -> i64 {
        self.0
    }
}

/// RFC 3339 with microseconds, ending in `Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // chrono takes half as long again, but humantime knows only the years from 1970 to 9999.
        match u64::try_from(self.0) {
            Ok(micros) if self.0 < YEAR_10000 => {
                humantime::format_rfc3339_micros(UNIX_EPOCH + Duration::from_micros(micros)).fmt(f)
            }
            _ => f.write_str(&by_chrono(*self)),
        }
    }
}

const YEAR_10000: i64 = 253_402_300_800_000_000;

fn by_chrono(Timestamp(micros): Timestamp) -> String {
    DateTime::from_timestamp_micros(micros).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Micros, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_longer_than_time_itself_saturates() {
        let now = Timestamp::from_unix_micros(1_700_000_000_000_000);
        assert_eq!(now.before(Duration::from_secs(1)), Timestamp::from_unix_micros(1_699_999_999_000_000));
        assert!(now.before(Duration::MAX) < Timestamp::from_unix_micros(0));
    }

    #[test]
    fn is_written_as_rfc_3339_in_utc() {
        assert_eq!(Timestamp::from_unix_micros(1_700_000_000_000_001).to_string(), "2023-11-14T22:13:20.000001Z");
    }

    #[test]
    fn is_written_as_chrono_does_in_any_year() {
        let edges = [i64::MIN, 0, YEAR_10000, i64::MAX];
        let edges = edges.into_iter().flat_map(|edge| [-1, 0, 1].map(|by| edge.saturating_add(by)));
        // Each month of 400 years, at other times of the day.
        let months = (0..4800).map(|month| 951_782_400_000_000 + month * 2_629_746_123_457);
        for micros in edges.chain(months) {
            let timestamp = Timestamp::from_unix_micros(micros);
            assert_eq!(timestamp.to_string(), by_chrono(timestamp));
        }
    }
}
