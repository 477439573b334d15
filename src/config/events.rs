//! The variables of events: the log, the live stream and the relay.

use std::time::Duration;

use super::address::uri_reference;
use super::reader::{Reader, duration};
use crate::events;
use crate::storage::Retention;

pub(super) const AMQP_URL: &str = "AMQP_URL";

pub(super) const RETENTION: &str = "a duration from 1m to 10y, such as 12h or 7d";

impl Reader<'_> {
    pub(super) fn events(&mut self, max_connections: usize) -> Option<events::Settings> {
        let expected = "a URI reference, such as /users or https://users.example.com";
        let source = self.value("EVENTS_SOURCE", "/user-service", expected, uri_reference);
        let events = self.value("EVENTS_RETENTION", "7d", RETENTION, retention);
        let parked = self.value("EVENTS_PARKED_RETENTION", "30d", RETENTION, retention);
        let max_parked = self.count("EVENTS_MAX_PARKED", "10000", 1 << 20);
        // Most connections remain for other requests.
        let readers = (max_connections / 5).clamp(1, 2000);
        let max_readers = self.count("EVENTS_MAX_READERS", &readers.to_string(), 1 << 20);
        let expected = "less than MAX_CONNECTIONS, or one";
        let leaves_room = max_readers.is_none_or(|it| it < max_connections.max(2));
        let room = self.require(leaves_room, "EVENTS_MAX_READERS", expected);
        let max_tries = self.count("EVENTS_MAX_TRIES", "20", 1000);
        let broker = self.broker();
        room?;
        let max_tries = i64::try_from(max_tries?).ok()?;
        let relay = |url| Some(events::RelaySettings { url, source: source.clone()?, max_tries });
        Some(events::Settings {
            relay: broker.and_then(relay),
            source: source?,
            retention: Retention { events: events?, parked: parked?, max_parked: i64::try_from(max_parked?).ok()? },
            max_readers: max_readers?,
        })
    }

    /// The broker's URL. `None` if there is no broker, or a mistake.
    fn broker(&mut self) -> Option<events::AmqpUrl> {
        match events::AmqpUrl::parse(&self.text(AMQP_URL).ok()??) {
            Ok(url) => {
                self.effective.push((AMQP_URL, url.to_string()));
                Some(url)
            }
            // The URL may contain a password.
            Err(expected) => self.mistake(AMQP_URL, "***", expected),
        }
    }
}

pub(super) fn retention(text: &str) -> Option<Duration> {
    let bounds = Duration::from_mins(1)..=Duration::from_hours(24 * 3653);
    duration(text).filter(|it| bounds.contains(it))
}
