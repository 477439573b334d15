//! The event log, the relay to the broker, and the readers of the live stream.

use std::time::Duration;

use prometheus::{Gauge, Histogram, HistogramOpts, IntCounter, IntGauge, Registry};

use super::register::{DURATION_BUCKETS, register};

const PENDING: &str = "Events that were never sent to the broker yet, about; 0 without a relay.";
const OLDEST_PENDING: &str = "Age of the oldest event that was never sent to the broker yet; 0 when there is none.";
const HELD: &str = "Events that wait because the broker refused them, or an earlier one of the same user.";
const OLDEST_HELD: &str = "Age of the oldest of those that wait because the broker refused them; 0 when there is none.";
const PARKED: &str = "Events that were given up, and are still kept.";
const ENABLED: &str = "Whether this replica would relay, because it has an AMQP_URL: 1 or 0.";
const LEADER: &str = "Whether this replica is the one that relays: 1 or 0.";
const CONNECTED: &str = "Whether this replica is connected to the broker, as each is that would relay: 1 or 0.";
const PUBLISHED: &str = "Events that the broker confirmed, those that no queue was bound for included.";
const UNROUTABLE: &str = "Confirmed events that no queue was bound for.";
const REFUSED: &str = "Times that the broker refused an event, which is tried again unless it is given up.";
const GIVEN_UP: &str = "Events given up after the broker had refused them too often.";
const CONFIRM: &str = "Time from when an event was handed to the broker until it confirmed it.";
const READERS: &str = "Readers of the live stream.";
const TURNED_AWAY: &str = "Readers of the live stream that were turned away because there were too many.";
const STREAMED: &str = "Events taken by readers of the live stream, once for each reader.";
const PRUNED: &str = "Events that this replica has removed from the log, because they were old or had been given up.";

/// Metrics of events. Clones share the numbers.
#[derive(Clone)]
pub struct EventMetrics {
    pending: IntGauge,
    oldest_pending: Gauge,
    held: IntGauge,
    oldest_held: Gauge,
    parked: IntGauge,
    enabled: IntGauge,
    leader: IntGauge,
    connected: IntGauge,
    published: IntCounter,
    unroutable: IntCounter,
    refused: IntCounter,
    given_up: IntCounter,
    confirm: Histogram,
    readers: IntGauge,
    turned_away: IntCounter,
    streamed: IntCounter,
    pruned: IntCounter,
}

impl EventMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let gauge = |name, help| register(registry, IntGauge::new(name, help)?);
        let age = |name, help| register(registry, Gauge::new(name, help)?);
        let counter = |name, help| register(registry, IntCounter::new(name, help)?);
        let confirm = HistogramOpts::new("events_confirm_duration_seconds", CONFIRM).buckets(DURATION_BUCKETS.to_vec());
        Ok(Self {
            pending: gauge("events_pending", PENDING)?,
            oldest_pending: age("events_oldest_pending_age_seconds", OLDEST_PENDING)?,
            held: gauge("events_held", HELD)?,
            oldest_held: age("events_oldest_held_age_seconds", OLDEST_HELD)?,
            parked: gauge("events_parked", PARKED)?,
            enabled: gauge("events_relay_enabled", ENABLED)?,
            leader: gauge("events_relay_leader", LEADER)?,
            connected: gauge("events_relay_connected", CONNECTED)?,
            published: counter("events_published_total", PUBLISHED)?,
            unroutable: counter("events_unroutable_total", UNROUTABLE)?,
            refused: counter("events_refused_total", REFUSED)?,
            given_up: counter("events_given_up_total", GIVEN_UP)?,
            confirm: register(registry, Histogram::with_opts(confirm)?)?,
            readers: gauge("event_stream_readers", READERS)?,
            turned_away: counter("event_stream_readers_turned_away_total", TURNED_AWAY)?,
            streamed: counter("event_stream_events_total", STREAMED)?,
            pruned: counter("events_pruned_total", PRUNED)?,
        })
    }

    /// Sets the number of events that were never sent, and the age of the oldest.
    pub fn pending(&self, pending: i64, oldest: Duration) {
        self.pending.set(pending);
        self.oldest_pending.set(oldest.as_secs_f64());
    }

    /// Sets the number of held events, and the age of the oldest.
    pub fn held(&self, held: i64, oldest: Duration) {
        self.held.set(held);
        self.oldest_held.set(oldest.as_secs_f64());
    }

    /// Sets the number of parked events.
    pub fn parked(&self, parked: i64) {
        self.parked.set(parked);
    }

    /// Sets whether this replica has a broker to relay to.
    pub fn enabled(&self, enabled: bool) {
        self.enabled.set(enabled.into());
    }

    /// Sets whether this replica is the relay's leader.
    pub fn leads(&self, leads: bool) {
        self.leader.set(leads.into());
    }

    /// Sets whether the relay is connected to the broker.
    pub fn connected(&self, connected: bool) {
        self.connected.set(connected.into());
    }

    /// Records that the broker confirmed an event after this time.
    pub fn published(&self, took: Duration, routed: bool) {
        self.published.inc();
        self.unroutable.inc_by((!routed).into());
        self.confirm.observe(took.as_secs_f64());
    }

    /// Counts an event that the broker refused.
    pub fn refused(&self) {
        self.refused.inc();
    }

    /// Counts an event that the relay gave up.
    pub fn gave_up(&self) {
        self.given_up.inc();
    }

    /// A reader of the live stream has connected.
    pub fn reader_came(&self) {
        self.readers.inc();
    }

    /// A reader of the live stream has disconnected.
    pub fn reader_left(&self) {
        self.readers.dec();
    }

    /// Counts a reader that was rejected because there were too many.
    pub fn reader_turned_away(&self) {
        self.turned_away.inc();
    }

    /// Counts the events that a reader has received.
    pub fn streamed(&self, events: u64) {
        self.streamed.inc_by(events);
    }

    /// Counts events that were pruned from the log.
    pub fn pruned(&self, events: u64) {
        self.pruned.inc_by(events);
    }
}
