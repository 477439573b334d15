use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::heartbeat::RelayHeartbeat;
use crate::domain::{Error, Timestamp};
use crate::metrics::EventMetrics;
use crate::storage::{Backlog, EventLog};

const INTERVAL: Duration = Duration::from_secs(5);

/// Keeps the metrics of events that wait to be relayed up to date. Every replica does, because the one that relays may
/// have stopped.
pub(super) async fn report(log: EventLog, metrics: EventMetrics, mut heartbeat: RelayHeartbeat) {
    loop {
        // On failure the last values stay. An unreachable database has a metric of its own.
        if let Ok(backlog) = read(&log, &mut heartbeat).await {
            record(&metrics, &backlog, Timestamp::now());
        }
        sleep(INTERVAL).await;
    }
}

/// The backlog. Empty if no replica relays.
async fn read(log: &EventLog, heartbeat: &mut RelayHeartbeat) -> Result<Backlog, Error> {
    let beat = log.heartbeat().await?;
    if heartbeat.is_alive(beat, Instant::now()) { log.backlog().await } else { Ok(Backlog::default()) }
}

fn record(metrics: &EventMetrics, backlog: &Backlog, now: Timestamp) {
    let age = |at: Timestamp| {
        let micros = now.unix_micros().saturating_sub(at.unix_micros());
        // Negative if the replica that wrote the event has a clock that is ahead.
        Duration::from_micros(u64::try_from(micros).unwrap_or_default())
    };
    metrics.pending(backlog.pending, backlog.oldest_pending.map_or(Duration::ZERO, age));
    metrics.held(backlog.held, backlog.oldest_held.map_or(Duration::ZERO, age));
    metrics.parked(backlog.parked);
}
