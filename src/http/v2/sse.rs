//! Server-sent events (WHATWG HTML, 9.2), which a browser's `EventSource` reads.
//!
//! No crate writes them as this service needs: with an id in every heartbeat, and several events in one chunk.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::domain::Position;
use crate::events::PublishedEvent;

pub(super) const CONTENT: &str = "text/event-stream";

/// After how many milliseconds a client should reconnect. The range spreads the clients of a replica that ends.
const RETRY_MS: std::ops::Range<u32> = 1000..3000;

/// The start of a stream. A block that holds only an id is no event, but the client keeps the id, and so can resume
/// before its first event.
pub(super) fn beginning(seen: Position) -> String {
    let retry = fastrand::u32(RETRY_MS);
    format!("retry: {retry}\nid: {seen}\n\n")
}

/// Shows that the connection works, and up to which event the client has everything.
pub(super) fn heartbeat(seen: Position) -> String {
    format!(": nothing new\nid: {seen}\n\n")
}

/// Events, each as a block.
pub(super) fn blocks(events: &[Arc<PublishedEvent>]) -> String {
    /// About what surrounds the JSON of an event, in bytes.
    const OVERHEAD: usize = 64;
    let mut text = String::with_capacity(events.iter().map(|event| event.json.len() + OVERHEAD).sum());
    for event in events {
        let (position, json) = (event.position(), &event.json);
        // Writing to a string cannot fail, and our JSON has no line breaks.
        let _ = write!(text, "id: {position}\nevent: {}\ndata: {json}\n\n", event.r#type.as_str());
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
        assert!(RETRY_MS.contains(&retry.parse().unwrap()), "{beginning}");
        assert_eq!(heartbeat(Position(7)), ": nothing new\nid: 7\n\n");
        let told =
            |position, r#type| Arc::new(PublishedEvent::example(position, r#type, format!("{{\"n\":{position}}}")));
        assert_eq!(
            blocks(&[told(8, EventType::Created), told(9, EventType::Deleted)]),
            "id: 8\nevent: user.created\ndata: {\"n\":8}\n\nid: 9\nevent: user.deleted\ndata: {\"n\":9}\n\n"
        );
    }
}
