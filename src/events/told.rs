use super::cloud_event::{EventType, to_json};
use crate::domain::{Event, Position};

/// An event as readers are told it.
#[derive(Debug)]
pub struct Told {
    pub event: Event,
    pub r#type: EventType,
    /// A `CloudEvent`.
    pub json: String,
}

impl Told {
    /// Renders an event. `source` is the service that it comes from, as a URI reference.
    pub(super) fn new(event: Event, source: &str) -> Self {
        Self { r#type: EventType::of(&event), json: to_json(&event, source), event }
    }

    /// Where the event stands in the log.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.event.position
    }

    /// For tests: what is not given is made up.
    #[cfg(test)]
    pub(crate) fn example(position: i64, r#type: EventType, json: String) -> Self {
        let (position, occurred_at) = (Position(position), crate::domain::Timestamp::from_unix_micros(0));
        let event = Event {
            position,
            id: Event::uuid(occurred_at, 0, position),
            occurred_at,
            user_id: crate::domain::UserId::stored(1),
            version: crate::domain::Version::FIRST,
            change: crate::domain::Change::Deleted,
            trace_parent: None,
        };
        Self { event, r#type, json }
    }
}
