use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::point::{Fault, Phase};
use crate::trial::Trial;

/// What all trials came to.
#[derive(Default)]
pub struct Summary {
    lines: Vec<String>,
    struck: usize,
    missed: Vec<String>,
    failed: Vec<String>,
}

impl Summary {
    pub fn add(&mut self, phase: Phase, trials: &[Trial]) {
        let struck = Vec::from_iter(trials.iter().filter(|trial| trial.is_struck));
        let faults = Fault::ALL.map(|fault| (fault, struck.iter().filter(|trial| trial.point.fault == fault).count()));
        let faults = faults.map(|(fault, count)| format!("{} {count}", fault.name())).join(", ");
        let mut calls: BTreeMap<&str, usize> = BTreeMap::new();
        for trial in &struck {
            *calls.entry(&trial.point.call).or_default() += 1;
        }
        let calls = Vec::from_iter(calls.into_iter().map(|(call, count)| format!("{call} {count}"))).join(", ");
        self.lines.push(format!("{}: {} points: {faults}; {calls}", phase.name(), struck.len()));
        println!("{}", self.lines.last().expect("the line"));
        self.struck += struck.len();
        let names = |is_named: fn(&Trial) -> bool| {
            trials.iter().filter(move |trial| is_named(trial)).map(|trial| trial.point.to_string())
        };
        self.missed.extend(names(|trial| !trial.is_struck && trial.complaints.is_empty()));
        self.failed.extend(names(|trial| !trial.complaints.is_empty()));
    }

    pub fn text(&self, seed: u64) -> String {
        let mut text = self.lines.join("\n");
        let (struck, failed, missed) = (self.struck, self.failed.len(), self.missed.len());
        write!(text, "\nseed {seed}: {struck} points, {failed} failed, {missed} not reached").expect("a string");
        for (what, points) in [("failed", &self.failed), ("not reached", &self.missed)] {
            points.iter().for_each(|point| write!(text, "\n{what}: {point}").expect("a string"));
        }
        text
    }

    /// A point that is not reached proves nothing.
    pub fn is_proved(&self) -> bool {
        self.struck > 0 && self.failed.is_empty() && self.missed.is_empty()
    }
}
