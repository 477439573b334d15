//! The verdict on a history.

use std::time::Duration;

use crate::anomalies::{Finding, anomalies};
use crate::history::History;
use crate::partition::{Partition, partitions};
use crate::shrink::shrink;
use crate::wgl::{Found, search};
use crate::window::Window;

/// Judges a history: whether the calls, each at one moment between its start and its end, make sense in some order.
#[must_use]
pub fn check(history: &History, bounds: &Bounds) -> Report {
    let mut report = Report { calls: history.calls.len(), findings: anomalies(history), ..Report::default() };
    for partition in partitions(history) {
        report.judge(history, partition, bounds);
    }
    report
}

/// How much a check of one partition may cost before it is given up.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// The most configurations to look at; one takes some 32 bytes of memory.
    pub states: usize,
    /// The longest time. To make a fault's window small may take as long again.
    pub time: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { states: 10_000_000, time: Duration::from_mins(1) }
    }
}

/// What the check of a history has found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The calls of the history.
    pub calls: usize,
    /// The partitions that were judged one by one.
    pub partitions: usize,
    /// The calls of the largest one.
    pub largest: usize,
    /// The configurations that all searches together met.
    pub states: usize,
    /// An order that explains each partition which has one, as places in the history: the witness of the verdict. Writes with
    /// an unknown outcome that it does not need are not in it.
    pub linearizations: Vec<Vec<usize>>,
    /// The partitions that no order explains.
    pub faults: Vec<Fault>,
    /// The partitions whose search reached its bounds: their calls.
    pub undecided: Vec<Vec<usize>>,
    /// What is wrong at first sight. Each finding is about a fault as well, and says it in fewer words.
    pub findings: Vec<Finding>,
}

/// The answer to whether a history is linearizable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Each partition has a linearization.
    Linearizable,
    /// Some partition has none.
    Violated,
    /// No partition is known to have none, but some search reached its bounds.
    Undecided,
}

/// A partition that no order explains.
#[derive(Clone, Debug)]
pub struct Fault {
    /// All its calls, as places in the history.
    pub calls: Vec<usize>,
    /// How many answered calls the longest linearizable prefix explains.
    pub explained: usize,
    /// The few calls that no order explains.
    pub window: Window,
}

impl Report {
    /// What it comes to.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if !self.faults.is_empty() || !self.findings.is_empty() {
            Verdict::Violated
        } else if self.undecided.is_empty() {
            Verdict::Linearizable
        } else {
            Verdict::Undecided
        }
    }

    fn judge(&mut self, history: &History, partition: Partition, bounds: &Bounds) {
        let Partition { steps, tables } = partition;
        let (found, states) = search(&tables, &steps, bounds);
        self.partitions += 1;
        self.largest = self.largest.max(steps.len());
        self.states += states;
        let calls = Vec::from_iter(steps.iter().map(|step| step.call));
        match found {
            Found::Linearization(order) => {
                let calls = order.iter().filter_map(|&at| steps.get(at)).map(|step| step.call);
                self.linearizations.push(calls.collect());
            }
            Found::Undecided => self.undecided.push(calls),
            Found::DeadEnds(orders) => {
                let answered = |at: &&usize| steps.get(**at).is_some_and(|step| !step.is_unknown());
                let explained = orders.first().map_or(0, |order| order.iter().filter(answered).count());
                let small = shrink(&tables, steps, bounds);
                let window = Window::new(history, &tables, &small, bounds);
                self.faults.push(Fault { calls, explained, window });
            }
        }
    }
}
