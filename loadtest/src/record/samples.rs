//! Requests that asked the service where their time goes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ServerTiming;

/// How many of the slowest are kept.
const KEPT: usize = 20;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Samples {
    /// Requests that asked.
    pub asked: u64,
    /// Answers that said something.
    pub answered: u64,
    /// Sums over all of these: what the client measured, and each duration, in milliseconds.
    pub client: f64,
    pub server: BTreeMap<String, f64>,
    /// The slowest of these, slowest first.
    pub slowest: Vec<Sample>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub operation: String,
    /// Seconds since the run began.
    pub at: f64,
    /// What the client measured, in milliseconds.
    pub client: f64,
    pub server: ServerTiming,
}

impl Samples {
    pub(crate) fn add(&mut self, sample: Sample) {
        self.asked += 1;
        if sample.server.is_empty() {
            return;
        }
        self.answered += 1;
        self.client += sample.client;
        for (name, duration) in &sample.server.durations {
            *self.server.entry(name.clone()).or_default() += duration;
        }
        self.keep(sample);
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.asked += other.asked;
        self.answered += other.answered;
        self.client += other.client;
        for (name, duration) in other.server {
            *self.server.entry(name).or_default() += duration;
        }
        other.slowest.into_iter().for_each(|sample| self.keep(sample));
    }

    fn keep(&mut self, sample: Sample) {
        let at = self.slowest.partition_point(|kept| kept.client >= sample.client);
        if at < KEPT {
            self.slowest.insert(at, sample);
            self.slowest.truncate(KEPT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_are_kept() {
        let sample = |client: f64| Sample {
            operation: "read".to_owned(),
            at: 0.0,
            client,
            server: ServerTiming::parse("db;dur=0.5"),
        };
        let (mut one, mut other) = (Samples::default(), Samples::default());
        (0..100).for_each(|number| one.add(sample(f64::from(number * 37 % 100))));
        (0..5).for_each(|number| other.add(sample(f64::from(1000 + number))));
        other.add(Sample { server: ServerTiming::default(), ..sample(9e9) });
        one.merge(other);
        assert_eq!((one.asked, one.answered, one.slowest.len()), (106, 105, KEPT));
        let slowest = Vec::from_iter(one.slowest.iter().map(|sample| sample.client));
        assert_eq!(slowest[..6], [1004.0, 1003.0, 1002.0, 1001.0, 1000.0, 99.0]);
        assert!((one.server["db"] - 52.5).abs() < 1e-9);
    }
}
