//! The log of events: what waits in it, what was sent to the broker, and who reads the live stream.

use std::time::Duration;

use prometheus::{Gauge, Histogram, HistogramOpts, IntCounter, IntGauge, Registry};

use super::{DURATION_BUCKETS, register};

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

/// What happens to events. Clones share the numbers.
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

    /// How many were never sent, and how old the oldest of them is.
    pub fn pending(&self, pending: i64, oldest: Duration) {
        self.pending.set(pending);
        self.oldest_pending.set(oldest.as_secs_f64());
    }

    /// How many are held, and how old the oldest of them is.
    pub fn held(&self, held: i64, oldest: Duration) {
        self.held.set(held);
        self.oldest_held.set(oldest.as_secs_f64());
    }

    /// How many are kept of those that were given up.
    pub fn parked(&self, parked: i64) {
        self.parked.set(parked);
    }

    /// This replica has a broker to relay to, or has not.
    pub fn enabled(&self, enabled: bool) {
        self.enabled.set(enabled.into());
    }

    /// This replica is the one that relays, or is not.
    pub fn leads(&self, leads: bool) {
        self.leader.set(leads.into());
    }

    /// The relay is connected to the broker, or is not.
    pub fn connected(&self, connected: bool) {
        self.connected.set(connected.into());
    }

    /// The broker has confirmed an event after that time.
    pub fn published(&self, took: Duration, routed: bool) {
        self.published.inc();
        self.unroutable.inc_by((!routed).into());
        self.confirm.observe(took.as_secs_f64());
    }

    /// The broker has refused an event.
    pub fn refused(&self) {
        self.refused.inc();
    }

    /// An event was given up.
    pub fn gave_up(&self) {
        self.given_up.inc();
    }

    /// A reader of the live stream has come.
    pub fn reader_came(&self) {
        self.readers.inc();
    }

    /// A reader of the live stream has gone.
    pub fn reader_left(&self) {
        self.readers.dec();
    }

    /// There were too many readers of the live stream for one more.
    pub fn reader_turned_away(&self) {
        self.turned_away.inc();
    }

    /// A reader has taken so many events.
    pub fn streamed(&self, events: u64) {
        self.streamed.inc_by(events);
    }

    /// So many events were removed from the log.
    pub fn pruned(&self, events: u64) {
        self.pruned.inc_by(events);
    }
}
