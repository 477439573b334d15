//! One thread of a run, with its connections.

use std::cell::RefCell;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all, pending};
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio::time::sleep_until;

use super::releases::Releases;
use super::worker::{Shared, Worker};
use super::{Plan, observe, pacer};
use crate::record::{Clock, Latencies, Live, Recorder, Recording};
use crate::scenario::{Scenario, Script};

/// When a run begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    /// The warm-up.
    pub first: Instant,
    /// What is measured.
    pub zero: Instant,
}

pub(crate) struct ThreadReport {
    pub recording: Recording,
    /// How late free connections took what was due, by the generator's own delay.
    pub late: Latencies,
    /// How long what was due waited for a free connection.
    pub waited: Latencies,
    /// The share of a core that the thread used.
    pub busy: f64,
    /// Why the thread could not do its work.
    pub fault: Option<String>,
}

pub(super) fn run(
    number: usize,
    plan: &Plan,
    live: Arc<Live>,
    connected: &Barrier,
    begins: watch::Receiver<Option<Start>>,
) -> ThreadReport {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            connected.wait();
            return ThreadReport::failed(format!("no runtime: {error}"));
        }
    };
    LocalSet::new().block_on(&runtime, drive(number, plan, live, connected, begins))
}

async fn drive(
    number: usize,
    plan: &Plan,
    live: Arc<Live>,
    connected: &Barrier,
    mut begins: watch::Receiver<Option<Start>>,
) -> ThreadReport {
    // A reader of the live stream has a connection of its own.
    let count = if plan.scenario == Scenario::Watch { 8 } else { plan.connections_of(number) };
    let workers = join_all((0..count).map(|_| Worker::connect(plan))).await;
    connected.wait();
    let Ok(Some(start)) = begins.wait_for(Option::is_some).await.map(|start| *start) else {
        return ThreadReport::failed("the run did not begin".to_owned());
    };
    let workers = match workers.into_iter().collect::<Result<Vec<_>, _>>() {
        Ok(workers) => workers,
        Err(error) => return ThreadReport::failed(error),
    };
    let clock = Clock { zero: start.zero, window: plan.window };
    let shared = Shared {
        plan,
        script: RefCell::new(script(number, plan, start)),
        recorder: RefCell::new(Recorder::new(clock, plan.scenario.measures(), live)),
        late: RefCell::new(Latencies::precise()),
        waited: RefCell::new(Latencies::precise()),
        zero: start.zero,
    };
    sleep_until(start.first.into()).await;
    let (begun, cpu) = (Instant::now(), cpu_time());
    let ended = if let Some(releases) = Releases::new(plan, start.first, number) {
        run_open(workers, &shared, &releases).await
    } else {
        join_all(workers.into_iter().map(|worker| worker.run_closed(&shared))).await;
        Ok(())
    };
    let busy = cpu_time().saturating_sub(cpu).as_secs_f64() / begun.elapsed().as_secs_f64().max(1e-9);
    let Shared { recorder, late, waited, .. } = shared;
    ThreadReport {
        recording: recorder.into_inner().finish(),
        late: late.into_inner(),
        waited: waited.into_inner(),
        busy,
        fault: ended.err(),
    }
}

/// Sends what is due. What no connection was free to send by the end has failed, and its latency counts too: to leave
/// it out would hide just the requests that a stalled service keeps waiting.
async fn run_open(workers: Vec<Worker>, shared: &Shared<'_>, releases: &Releases) -> Result<(), String> {
    let plan = shared.plan;
    let sending = join_all(workers.into_iter().map(|worker| worker.run_open(shared, releases)));
    let pacing = async {
        let ended = pacer::pace(releases).await;
        if ended.is_err() {
            // Or the connections would wait for ever.
            releases.close();
        }
        ended
    };
    let closing = async {
        sleep_until((shared.zero + plan.duration + plan.timeout).into()).await;
        releases.close();
        pending::<()>().await;
    };
    let ended = tokio::select! {
        (ended, _) = join(pacing, sending) => ended,
        // It never ends.
        () = closing => Ok(()),
    };
    let mut recorder = shared.recorder.borrow_mut();
    for due in releases.left() {
        let example = "no connection was free until the end".to_owned();
        recorder.record(observe::failed(plan.scenario.usual_kind(), due, "not sent", example));
    }
    ended
}

fn script(number: usize, plan: &Plan, start: Start) -> Script {
    Script {
        scenario: plan.scenario,
        names: plan.names,
        users: Arc::clone(&plan.users),
        random: fastrand::Rng::with_seed(plan.names.number() << 16 | number as u64),
        thread: number,
        authorization: plan.authorization.clone(),
        host: plan.target.host.clone(),
        base: plan.target.base.clone(),
        sampled: plan.sampled,
        zero: start.first,
        made: 0,
    }
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

impl ThreadReport {
    fn failed(fault: String) -> Self {
        let none = Latencies::precise;
        Self { recording: Recording::default(), late: none(), waited: none(), busy: 0.0, fault: Some(fault) }
    }
}
