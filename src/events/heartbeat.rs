use std::time::{Duration, Instant};

/// How long the relay must have been silent to be considered gone. It writes a heartbeat at least every 30 s, with or
/// without a broker. The timeout is long because a restart may take minutes, and events that are pruned before they are
/// sent are lost.
const TIMEOUT: Duration = Duration::from_mins(10);

/// Detects whether any replica relays events: this one, or another one that writes heartbeats.
#[derive(Debug)]
pub(super) struct RelayHeartbeat {
    relays_here: bool,
    /// The last heartbeat, and when it was first seen.
    last: Option<(i64, Instant)>,
}

impl RelayHeartbeat {
    /// `relays_here`: whether this replica is configured to relay.
    pub(super) const fn new(relays_here: bool) -> Self {
        Self { relays_here, last: None }
    }

    /// Whether any replica relays, given the heartbeat that is in the database now. 0 means that no replica ever has.
    /// The age of the first heartbeat is unknown, so it counts as new.
    pub(super) fn is_alive(&mut self, beat: i64, now: Instant) -> bool {
        let since = match self.last {
            Some((last, since)) if last == beat => since,
            _ => now,
        };
        self.last = Some((beat, since));
        self.relays_here || (beat != 0 && now.duration_since(since) < TIMEOUT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_any_heartbeat_there_is_no_relay() {
        assert!(!RelayHeartbeat::new(false).is_alive(0, Instant::now()));
        assert!(RelayHeartbeat::new(true).is_alive(0, Instant::now()));
    }

    #[test]
    fn the_relay_is_gone_after_a_long_silence_until_the_next_heartbeat() {
        let (mut heartbeat, start) = (RelayHeartbeat::new(false), Instant::now());
        let after = |minutes| start + Duration::from_mins(minutes);
        assert!(heartbeat.is_alive(7, start));
        assert!(heartbeat.is_alive(7, after(9)));
        assert!(heartbeat.is_alive(8, after(11)));
        assert!(heartbeat.is_alive(8, after(20)));
        assert!(!heartbeat.is_alive(8, after(21)));
        assert!(heartbeat.is_alive(9, after(60)));
    }

    #[test]
    fn a_replica_that_relays_does_not_depend_on_heartbeats() {
        let (mut heartbeat, start) = (RelayHeartbeat::new(true), Instant::now());
        assert!(heartbeat.is_alive(7, start) && heartbeat.is_alive(7, start + Duration::from_hours(1)));
    }
}
