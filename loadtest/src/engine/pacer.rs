//! Wakes connections when requests become due. Those that are busy take by themselves what has become due meanwhile.

use super::releases::Releases;
use super::timer::Timer;

pub(super) async fn pace(releases: &Releases) -> Result<(), String> {
    let mut timer = Timer::new().map_err(|error| format!("no timer: {error}"))?;
    while let Some(due) = releases.next_due() {
        timer.sleep_until(due).await.map_err(|error| format!("the timer failed: {error}"))?;
        releases.release().await;
    }
    Ok(())
}
