//! Server-sent events (WHATWG HTML, 9.2): text that a browser's `EventSource` understands.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::domain::Position;
use crate::events::PublishedEvent;

pub(super) const CONTENT: &str = "text/event-stream";

/// How soon a client that lost its connection should come back, in milliseconds: not all of them at once.
const RETRY: std::ops::Range<u32> = 1000..3000;

/// What comes first. A block with no more than an id is no event, but the client keeps the id: it can come back although it
/// has seen no event yet.
pub(super) fn beginning(seen: Position) -> String {
    let retry = fastrand::u32(RETRY);
    format!("retry: {retry}\nid: {seen}\n\n")
}

/// Shows that there is somebody, and how far they are.
pub(super) fn heartbeat(seen: Position) -> String {
    format!(": nothing new\nid: {seen}\n\n")
}

/// Events, a block for each.
pub(super) fn blocks(events: &[Arc<PublishedEvent>]) -> String {
    /// What stands around the JSON of an event, about.
    const AROUND: usize = 64;
    let mut text = String::with_capacity(events.iter().map(|told| told.json.len() + AROUND).sum());
    for told in events {
        let (position, json) = (told.position(), &told.json);
        // To write to a string cannot fail; and JSON as we make it has no line ends.
        let _ = write!(text, "id: {position}\nevent: {}\ndata: {json}\n\n", told.r#type.as_str());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::EventType;

    #[test]
    fn blocks_end_with_an_empty_line() {
        let beginning = beginning(Position(7));
        let retry = beginning.strip_prefix("retry: ").and_then(|rest| rest.strip_suffix("\nid: 7\n\n")).unwrap();
        assert!(RETRY.contains(&retry.parse().unwrap()), "{beginning}");
        assert_eq!(heartbeat(Position(7)), ": nothing new\nid: 7\n\n");
        let told =
            |position, r#type| Arc::new(PublishedEvent::example(position, r#type, format!("{{\"n\":{position}}}")));
        assert_eq!(
            blocks(&[told(8, EventType::Created), told(9, EventType::Deleted)]),
            "id: 8\nevent: user.created\ndata: {\"n\":8}\n\nid: 9\nevent: user.deleted\ndata: {\"n\":9}\n\n"
        );
    }
}
