use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::signs_of_life::SignsOfLife;
use crate::domain::{Error, Timestamp};
use crate::metrics::EventMetrics;
use crate::storage::{Backlog, EventLog};

const INTERVAL: Duration = Duration::from_secs(5);

/// Tells the metrics, for ever, what waits to be relayed. Every replica does: the one that relays may be the one that has
/// stopped.
pub(super) async fn watch(log: EventLog, metrics: EventMetrics, mut signs: SignsOfLife) {
    loop {
        // With no news the last ones stay. The database's absence has a metric of its own.
        if let Ok(backlog) = look(&log, &mut signs).await {
            tell(&metrics, &backlog, Timestamp::now());
        }
        sleep(INTERVAL).await;
    }
}

/// Nothing waits where nobody relays.
async fn look(log: &EventLog, signs: &mut SignsOfLife) -> Result<Backlog, Error> {
    let sign = log.heartbeat().await?;
    if signs.is_relayed(sign, Instant::now()) { log.backlog().await } else { Ok(Backlog::default()) }
}

fn tell(metrics: &EventMetrics, backlog: &Backlog, now: Timestamp) {
    let age = |at: Timestamp| {
        let micros = now.unix_micros().saturating_sub(at.unix_micros());
        // A replica whose clock is ahead may have written it.
        Duration::from_micros(u64::try_from(micros).unwrap_or_default())
    };
    metrics.pending(backlog.pending, backlog.oldest_pending.map_or(Duration::ZERO, age));
    metrics.held(backlog.held, backlog.oldest_held.map_or(Duration::ZERO, age));
    metrics.parked(backlog.parked);
}
