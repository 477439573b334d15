//! Looks at service and machine while a run goes on.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::time::{MissedTickBehavior, interval_at};

use super::progress::Progress;
use crate::engine::{Plan, Running};
use crate::machine::Cores;
use crate::record::Live;
use crate::results::Tick;
use crate::service::Scraper;

/// How often it looks whether the run has ended.
const GLANCE: Duration = Duration::from_millis(50);

/// Until the run ends: a tick at the end of each window. Ctrl-C ends the run early.
pub(super) async fn watch_over(
    running: &Running,
    plan: &Plan,
    live: &Live,
    scraper: &mut Scraper,
    progress: &Progress,
) -> Vec<Tick> {
    let mut ticks: Vec<Tick> = Vec::new();
    let mut looks = interval_at(running.start.zero.into(), plan.window);
    looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut glances = tokio::time::interval(GLANCE);
    glances.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut cores = Cores::look();
    let (mut shown, mut counted) = (Instant::now(), 0);
    while !running.has_ended() {
        tokio::select! {
            _ = looks.tick() => {
                let now = Cores::look();
                let shares = now.zip(cores).and_then(|(now, then)| now.shares_since(then));
                cores = now;
                let at = running.start.zero.elapsed().as_secs_f64();
                let generator_cpu = cpu_time();
                let scrape = scraper.look().await;
                let (busy, stolen) = (shares.map(|(busy, _)| busy), shares.map(|(_, stolen)| stolen));
                ticks.push(Tick { at, generator_cpu, busy, stolen, scrape });
            }
            _ = glances.tick() => {
                let (answered, failed) = live.counts();
                if shown.elapsed() >= Duration::from_secs(1) {
                    let grown = answered + failed - counted;
                    progress.show(live, crate::results::numbers::whole(grown) / shown.elapsed().as_secs_f64());
                    (shown, counted) = (Instant::now(), answered + failed);
                }
            }
            _ = tokio::signal::ctrl_c() => plan.stop.store(true, Ordering::Relaxed),
        }
    }
    ticks
}

/// Of the whole process.
fn cpu_time() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    #[expect(clippy::cast_precision_loss, reason = "a process runs for no 2^53 seconds")]
    let seconds = time.tv_sec as f64 + time.tv_nsec as f64 / 1e9;
    seconds
}
