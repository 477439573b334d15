//! Sends requests when they are due, or one after the other, on threads of its own.
//!
//! Each thread has a runtime and its share of the connections, so that no two threads wait for each other.

mod observe;
mod pacer;
mod plan;
mod releases;
mod thread;
mod timer;
mod worker;

use std::sync::{Arc, Barrier};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub(crate) use plan::{Load, Plan};
pub(crate) use thread::{Start, ThreadReport};

use crate::record::Live;

/// From when all are connected to the first request.
const RUN_UP: Duration = Duration::from_millis(20);

/// A run under way.
pub(crate) struct Running {
    pub start: Start,
    threads: Vec<JoinHandle<ThreadReport>>,
}

/// Starts all threads, which connect, and then all begin at the same time.
pub(crate) fn start(plan: &Arc<Plan>, live: &Arc<Live>) -> Result<Running, String> {
    let connected = Arc::new(Barrier::new(plan.threads + 1));
    let (begin, begins) = tokio::sync::watch::channel(None);
    let mut threads = Vec::new();
    for number in 0..plan.threads {
        let (plan, live) = (Arc::clone(plan), Arc::clone(live));
        let (connected, begins) = (Arc::clone(&connected), begins.clone());
        let run = move || thread::run(number, &plan, live, &connected, begins);
        let named = std::thread::Builder::new().name(format!("load {number}"));
        threads.push(named.spawn(run).map_err(|error| format!("cannot start a thread: {error}"))?);
    }
    connected.wait();
    let first = Instant::now() + RUN_UP;
    let start = Start { first, zero: first + plan.warm_up };
    // The threads wait for it.
    let _ = begin.send(Some(start));
    Ok(Running { start, threads })
}

impl Running {
    pub(crate) fn has_ended(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    pub(crate) fn reports(self) -> Result<Vec<ThreadReport>, String> {
        let reports = self.threads.into_iter().map(|thread| thread.join().map_err(|_| "a thread panicked".to_owned()));
        reports.collect()
    }
}
