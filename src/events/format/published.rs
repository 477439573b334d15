use super::cloud_event::to_json;
use super::event_type::EventType;
use crate::domain::{Event, Position};

/// An event, rendered once for all readers.
#[derive(Debug)]
pub struct PublishedEvent {
    pub event: Event,
    pub r#type: EventType,
    /// The event as a `CloudEvent`.
    pub json: String,
}

impl PublishedEvent {
    /// Renders an event. `source` identifies the service, as a URI reference.
    pub(crate) fn new(event: Event, source: &str) -> Self {
        Self { r#type: EventType::of(&event), json: to_json(&event, source), event }
    }

    /// About how much memory it takes: the user of the event is about as large as its text.
    pub(crate) const fn bytes(&self) -> usize {
        size_of::<Self>() + 2 * self.json.len()
    }

    /// The event's position in the log.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.event.position
    }

    /// An event for tests, with default values for everything else.
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
            knows_profile: true,
            trace_parent: None,
        };
        Self { event, r#type, json }
    }
}
