//! Events: changes of users, in the order of a log.

use std::fmt;

use uuid::{Builder, Uuid};

use super::{Timestamp, User, UserId, Version};

/// A change of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub position: Position,
    /// Identifies the event, wherever it is delivered and however often.
    pub id: Uuid,
    pub occurred_at: Timestamp,
    pub user_id: UserId,
    /// The user's version after the change. A deletion has the version after the user's last one.
    pub version: Version,
    pub change: Change,
    /// Whether the release that made the change knew profiles. If not, the event does not say what the user's profile is:
    /// that of its user is the default one.
    pub knows_profile: bool,
    /// The span that made the change, as a header `traceparent` (W3C Trace Context).
    pub trace_parent: Option<String>,
}

impl Event {
    /// The UUID of an event, version 7 (RFC 9562), computed from what is stored with it. The salt is random and shared
    /// by all events that are written together; they differ by their positions.
    #[must_use]
    pub fn uuid(occurred_at: Timestamp, salt: i64, position: Position) -> Uuid {
        let millis = u64::try_from(occurred_at.unix_micros() / 1000).unwrap_or_default();
        let [high, low] = [salt.rotate_left(32), salt.wrapping_add(position.0)].map(i64::to_be_bytes);
        let mut random = [0; 10];
        for (byte, from) in random.iter_mut().zip(high.into_iter().take(2).chain(low)) {
            *byte = from;
        }
        Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}

/// The kind of change, with the user after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Created(User),
    Updated(User),
    Deleted,
}

/// The offset of an event in the log. The events of one user are in the order of its versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub i64);

impl Position {
    /// Parses decimal digits, without sign or spaces. `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        if digits { text.parse().ok().map(Self) } else { None }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn an_id_is_a_uuid_of_version_7_and_stays_the_same() {
        let at = Timestamp::from_unix_micros(1_700_000_000_123_456);
        let id = Event::uuid(at, 0x0123_4567_89ab_cdef, Position(7));
        assert_eq!((id.get_version_num(), id.get_variant()), (7, uuid::Variant::RFC4122));
        assert_eq!(id, Event::uuid(at, 0x0123_4567_89ab_cdef, Position(7)));
        assert!(id.to_string().starts_with("018bcfe5-687b-7"), "{id}");
    }

    #[test]
    fn those_written_together_differ() {
        let at = Timestamp::from_unix_micros(0);
        let ids = HashSet::<Uuid>::from_iter((0..10_000).map(|position| Event::uuid(at, i64::MAX, Position(position))));
        assert_eq!(ids.len(), 10_000);
    }

    #[test]
    fn a_position_is_digits() {
        assert_eq!(Position::parse("17"), Some(Position(17)));
        assert_eq!(Position::parse("0"), Some(Position(0)));
        for text in ["", "-1", "+1", " 1", "1.0", "x", "9223372036854775808"] {
            assert_eq!(Position::parse(text), None, "{text:?}");
        }
    }
}
