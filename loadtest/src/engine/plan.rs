use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hyper::header::HeaderValue;
use url::Url;

use crate::scenario::{Names, Scenario, Users};
use crate::shape::Schedule;
use crate::wire::Target;

/// What the threads of a run share.
pub(crate) struct Plan {
    pub target: Target,
    pub grpc_url: Url,
    pub authorization: HeaderValue,
    pub scenario: Scenario,
    pub names: Names,
    pub users: Arc<Users>,
    pub load: Load,
    pub threads: usize,
    pub connections: usize,
    pub warm_up: Duration,
    pub duration: Duration,
    /// The most requests that are measured.
    pub requests: Option<u64>,
    pub timeout: Duration,
    pub window: Duration,
    /// The share of requests that ask for `Server-Timing`.
    pub sampled: f64,
    /// Set when somebody ends the run early.
    pub stop: AtomicBool,
    /// How many measured requests a closed loop has sent.
    pub sent: AtomicU64,
}

pub(crate) enum Load {
    /// A connection sends its next request when it has the answer to the one before.
    Closed,
    /// Requests are due at fixed times, whatever became of those before.
    Open(Schedule),
}

impl Plan {
    /// How many of the connections a thread has.
    pub(crate) fn connections_of(&self, thread: usize) -> usize {
        self.connections / self.threads + usize::from(thread < self.connections % self.threads)
    }

    /// How many of the measured requests a thread may send in an open loop.
    pub(crate) fn requests_of(&self, thread: usize) -> Option<u64> {
        let (threads, thread) = (self.threads as u64, thread as u64);
        self.requests.map(|most| most / threads + u64::from(thread < most % threads))
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Whether one more measured request may be sent in a closed loop.
    pub(crate) fn takes_one_more(&self) -> bool {
        self.requests.is_none_or(|most| self.sent.fetch_add(1, Ordering::Relaxed) < most)
    }
}
