//! Counts and latencies, as one thread sees them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Latencies, Live, Sample, Samples};
use crate::scenario::Kind;

/// More kinds of errors than this are counted together.
const KINDS_OF_ERRORS: usize = 50;

/// When the measured time of a run begins, and how long a window is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    pub zero: Instant,
    pub window: Duration,
}

/// What came of a request.
pub(crate) struct Observed {
    pub kind: Kind,
    /// Its latency counts from here: when it was due, or in a closed loop when it was sent.
    pub due: Instant,
    pub ended: Instant,
    /// A status or, where none arrived, the kind of failure.
    pub status: String,
    pub failure: Option<Failure>,
    pub sample: Option<super::ServerTiming>,
}

pub(crate) struct Failure {
    pub example: String,
    /// The service refused at once (429, 503). Such an answer is quick and says nothing about latency.
    pub is_refusal: bool,
}

/// What one thread saw, or all of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Recording {
    pub windows: Vec<Window>,
    pub operations: BTreeMap<String, Operation>,
    pub statuses: BTreeMap<String, u64>,
    pub errors: BTreeMap<String, Errors>,
    pub samples: Samples,
}

/// The requests that ended within a window, by what they are measured by.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Window {
    pub requests: u64,
    pub failed: u64,
    pub latencies: Latencies,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Operation {
    pub requests: u64,
    pub failed: u64,
    pub latencies: Latencies,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Errors {
    pub count: u64,
    /// Seconds since the run began.
    pub first_at: f64,
    pub example: String,
}

pub(crate) struct Recorder {
    clock: Clock,
    /// What the run is measured by; other kinds are only totalled.
    measures: fn(Kind) -> bool,
    live: Arc<Live>,
    open: Window,
    recording: Recording,
}

impl Recorder {
    pub(crate) fn new(clock: Clock, measures: fn(Kind) -> bool, live: Arc<Live>) -> Self {
        Self { clock, measures, live, open: Window::empty(), recording: Recording::default() }
    }

    /// Requests must be recorded in the order in which they ended.
    pub(crate) fn record(&mut self, observed: Observed) {
        self.live.count(observed.failure.is_some());
        // The warm-up.
        if observed.due < self.clock.zero {
            return;
        }
        let latency = observed.ended.saturating_duration_since(observed.due);
        let is_failed = observed.failure.is_some();
        let is_refusal = observed.failure.as_ref().is_some_and(|failure| failure.is_refusal);
        if (self.measures)(observed.kind) {
            self.advance(observed.ended);
            self.open.requests += 1;
            self.open.failed += u64::from(is_failed);
            if !is_refusal {
                self.open.latencies.record(latency);
            }
        }
        let operation = self.recording.operations.entry(observed.kind.name().to_owned());
        let operation = operation.or_insert_with(Operation::empty);
        operation.requests += 1;
        operation.failed += u64::from(is_failed);
        if !is_refusal {
            operation.latencies.record(latency);
        }
        let at = self.seconds(observed.ended);
        if let Some(server) = observed.sample {
            let client = latency.as_secs_f64() * 1e3;
            self.recording.samples.add(Sample { operation: observed.kind.name().to_owned(), at, client, server });
        }
        if let Some(failure) = observed.failure {
            self.count_error(format!("{} {}", observed.kind.name(), observed.status), at, failure.example);
        }
        match self.recording.statuses.get_mut(&observed.status) {
            Some(count) => *count += 1,
            None => drop(self.recording.statuses.insert(observed.status, 1)),
        }
    }

    pub(crate) fn finish(mut self) -> Recording {
        self.close();
        self.recording
    }

    fn count_error(&mut self, kind: String, at: f64, example: String) {
        let errors = &mut self.recording.errors;
        let is_room = errors.len() < KINDS_OF_ERRORS || errors.contains_key(&kind);
        let kind = if is_room { kind } else { "others".to_owned() };
        errors.entry(kind).or_insert(Errors { count: 0, first_at: at, example }).count += 1;
    }

    /// Closes all windows that have ended by now.
    fn advance(&mut self, now: Instant) {
        let current = now.saturating_duration_since(self.clock.zero).as_nanos() / self.clock.window.as_nanos().max(1);
        while (self.recording.windows.len() as u128) < current {
            self.close();
        }
    }

    fn close(&mut self) {
        self.live.add(&self.open.latencies);
        self.recording.windows.push(self.open.clone());
        self.open.requests = 0;
        self.open.failed = 0;
        self.open.latencies.clear();
    }

    fn seconds(&self, at: Instant) -> f64 {
        at.saturating_duration_since(self.clock.zero).as_secs_f64()
    }
}

impl Window {
    pub(crate) fn empty() -> Self {
        Self { requests: 0, failed: 0, latencies: Latencies::rough() }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.failed += other.failed;
        self.latencies.add(&other.latencies);
    }
}

impl Operation {
    fn empty() -> Self {
        Self { requests: 0, failed: 0, latencies: Latencies::precise() }
    }

    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.failed += other.failed;
        self.latencies.add(&other.latencies);
    }
}

impl Recording {
    /// Adds what another thread saw, whose windows lie `shift` windows later.
    pub(crate) fn add(&mut self, other: Self, shift: usize) {
        for (number, window) in other.windows.iter().enumerate() {
            while self.windows.len() <= number + shift {
                self.windows.push(Window::empty());
            }
            if let Some(mine) = self.windows.get_mut(number + shift) {
                mine.add(window);
            }
        }
        for (name, operation) in other.operations {
            self.operations.entry(name).or_insert_with(Operation::empty).add(&operation);
        }
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        for (kind, errors) in other.errors {
            let mine = self.errors.entry(kind).or_insert(Errors { count: 0, ..errors.clone() });
            mine.count += errors.count;
            if errors.first_at < mine.first_at {
                mine.first_at = errors.first_at;
                mine.example = errors.example;
            }
        }
        self.samples.merge(other.samples);
    }
}
