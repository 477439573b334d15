//! How fresh an answer has to be.

use std::time::Duration;

use super::Position;

/// How fresh an answer has to be. By default it may be as old as `MAX_STALENESS` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    /// The caller takes no answer that is older.
    pub max_age: Option<Duration>,
    /// The caller takes an answer that is as old as this, although `MAX_STALENESS` is lower.
    pub max_stale: Option<Duration>,
    /// The answer must show all events up to here.
    pub at_least: Option<Position>,
}

impl Freshness {
    /// The most that `MAX_STALENESS`, or a caller, may allow.
    pub const MOST_STALE: Duration = Duration::from_mins(1);
    /// The answer must have been right after the request came.
    pub const LATEST: Self = Self { max_age: Some(Duration::ZERO), max_stale: None, at_least: None };

    /// Reads the values of a request's `Cache-Control` (RFC 9111, 5.2.1). `no-cache`, `max-age` and `max-stale` count.
    /// Other directives, and those that cannot be read, are ignored.
    #[must_use]
    pub fn of_cache_control<'a>(values: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut freshness = Self::default();
        for value in values {
            // By bytes: what cannot be read must not hide a `no-cache` beside it.
            for directive in value.split(|byte| *byte == b',').filter_map(|directive| str::from_utf8(directive).ok()) {
                freshness.follow(directive.trim());
            }
        }
        freshness
    }

    /// The same with the values of a request's `At-Least-Position`.
    ///
    /// # Errors
    /// When they are not one position.
    pub fn at_least<'a>(self, mut values: impl Iterator<Item = &'a [u8]>) -> Result<Self, InvalidPosition> {
        let position = match (values.next(), values.next()) {
            (None, _) => return Ok(self),
            (Some(text), None) => str::from_utf8(text).ok().and_then(Position::parse),
            (Some(_), Some(_)) => None,
        };
        Ok(Self { at_least: Some(position.ok_or(InvalidPosition)?), ..self })
    }

    fn follow(&mut self, directive: &str) {
        let (name, value) = match directive.split_once('=') {
            Some((name, value)) => (name, Some(value.trim_matches('"'))),
            None => (directive, None),
        };
        let stricter = |bound: Option<Duration>, other: Duration| bound.map_or(other, |bound| bound.min(other));
        match (name.to_ascii_lowercase().as_str(), value, value.and_then(seconds)) {
            ("no-cache", ..) => self.max_age = Some(Duration::ZERO),
            ("max-age", _, Some(age)) => self.max_age = Some(stricter(self.max_age, age)),
            ("max-stale", None, _) => self.max_stale = Some(stricter(self.max_stale, Self::MOST_STALE)),
            ("max-stale", _, Some(stale)) => {
                self.max_stale = Some(stricter(self.max_stale, stale.min(Self::MOST_STALE)));
            }
            _ => {}
        }
    }

    /// How old the answer may be, where `MAX_STALENESS` is `configured`. Nothing lifts a bound of 0: neither of the
    /// service nor of the caller.
    #[must_use]
    pub fn max_staleness(&self, configured: Duration) -> Duration {
        let bound = self.max_age.map_or(configured, |max_age| max_age.min(configured));
        if bound.is_zero() { bound } else { bound.max(self.max_stale.unwrap_or_default()) }
    }
}

/// `At-Least-Position` is not one position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidPosition;

/// Parses `delta-seconds` (RFC 9111, 1.2.2). A number that is too large counts as the largest one.
fn seconds(text: &str) -> Option<Duration> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Duration::from_secs(text.parse().unwrap_or(u32::MAX).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_takes_less_or_more_but_never_more_than_nothing() {
        let bound = |max_age: Option<u64>, max_stale: Option<u64>, configured| {
            let [max_age, max_stale] = [max_age, max_stale].map(|seconds| seconds.map(Duration::from_secs));
            Freshness { max_age, max_stale, at_least: None }.max_staleness(Duration::from_secs(configured)).as_secs()
        };
        assert_eq!([bound(None, None, 0), bound(None, Some(60), 0), bound(Some(9), Some(60), 0)], [0, 0, 0]);
        assert_eq!([bound(None, None, 5), bound(Some(9), None, 5), bound(Some(2), None, 5)], [5, 5, 2]);
        assert_eq!([bound(None, Some(60), 5), bound(None, Some(1), 5), bound(Some(2), Some(3), 5)], [60, 5, 3]);
        assert_eq!([bound(Some(0), None, 5), bound(Some(0), Some(60), 5)], [0, 0]);
    }

    #[test]
    fn directives_that_cannot_be_read_are_ignored() {
        let ages = |values: &[&str]| {
            let values = values.iter().map(|text| text.as_bytes());
            let Freshness { max_age, max_stale, .. } = Freshness::of_cache_control(values);
            [max_age, max_stale].map(|age| age.map(|age| age.as_secs()))
        };
        for ignored in
            ["", ",", "max-age", "max-age=", "max-age=-1", "max-age=1.5", "max-stale=x", "no-store", "x=\"no-cache\""]
        {
            assert_eq!(ages(&[ignored]), [None, None], "{ignored}");
        }
        assert_eq!(ages(&["No-Cache"]), [Some(0), None]);
        assert_eq!(Freshness::of_cache_control([&b"x=\xff, no-cache"[..]].into_iter()).max_age, Some(Duration::ZERO));
        assert_eq!(ages(&["max-stale=5 , no-cache"]), [Some(0), Some(5)]);
        assert_eq!(ages(&["max-stale"]), [None, Some(60)]);
        assert_eq!(ages(&["max-stale=\"7\"", "max-age=3,max-age=4"]), [Some(3), Some(7)]);
        assert_eq!(ages(&["max-stale=99999999999999999999"]), [None, Some(60)]);
        assert_eq!(ages(&["max-age=99999999999999999999"]), [Some(u32::MAX.into()), None]);
    }

    #[test]
    fn a_position_is_given_once_and_in_digits() {
        let at_least = |values: &[&str]| {
            let values = values.iter().map(|text| text.as_bytes());
            Freshness::default().at_least(values).map(|freshness| freshness.at_least)
        };
        assert_eq!((at_least(&[]), at_least(&["17"])), (Ok(None), Ok(Some(Position(17)))));
        for malformed in [&[""][..], &["-1"], &["x"], &["1", "1"], &["9223372036854775808"]] {
            assert_eq!(at_least(malformed), Err(InvalidPosition), "{malformed:?}");
        }
    }
}
