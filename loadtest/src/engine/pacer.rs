//! Releases requests when they are due.

use std::time::Instant;

use super::Plan;
use super::releases::Releases;
use super::timer::Timer;
use crate::record::Latencies;

/// After so many releases without a wait, connections get to send.
const AT_ONCE: u32 = 32;

/// Releases at most `most` measured requests. Returns how late each was: the generator's own delay, which no service
/// causes.
pub(super) async fn pace(
    releases: &Releases,
    plan: &Plan,
    most: Option<u64>,
    zero: Instant,
) -> Result<Latencies, String> {
    let timer = Timer::new().map_err(|error| format!("no timer: {error}"))?;
    let mut late = Latencies::precise();
    let (mut without_wait, mut measured) = (0, 0);
    while let Some(due) = releases.next_due() {
        if Instant::now() < due {
            timer.sleep_until(due).await.map_err(|error| format!("the timer failed: {error}"))?;
            without_wait = 0;
        } else {
            without_wait += 1;
            if without_wait % AT_ONCE == 0 {
                tokio::task::yield_now().await;
            }
        }
        if plan.is_stopped() {
            break;
        }
        if due >= zero {
            if most == Some(measured) {
                break;
            }
            measured += 1;
            late.record(due.elapsed());
        }
        releases.release();
    }
    Ok(late)
}
