use super::cloud_event::{EventType, to_json};
use crate::users::{Event, Position};

/// An event as readers are told it.
#[derive(Debug)]
pub struct Told {
    pub position: Position,
    pub r#type: EventType,
    /// A `CloudEvent`.
    pub json: String,
}

impl Told {
    /// Renders an event. `source` is the service that it comes from, as a URI reference.
    pub(super) fn new(event: &Event, source: &str) -> Self {
        Self { position: event.position, r#type: EventType::of(event), json: to_json(event, source) }
    }
}
