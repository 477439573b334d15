//! Latencies in a file: an HDR histogram as pairs of a value and its count.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Latencies below it count as one.
const LOWEST: u64 = 100;
/// Above it, they count as this long.
const HIGHEST: u64 = 3_600_000_000_000;

/// Latencies in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    /// Precise to 0.1%.
    pub(crate) fn precise() -> Self {
        Self::with_digits(3)
    }

    /// Precise to 1%, and a tenth of the size: for each window of a run.
    pub(crate) fn rough() -> Self {
        Self::with_digits(2)
    }

    fn with_digits(digits: u8) -> Self {
        match Histogram::new_with_bounds(LOWEST, HIGHEST, digits) {
            Ok(histogram) => Self(histogram),
            Err(_) => unreachable!("these bounds are valid"),
        }
    }

    pub(crate) fn record(&mut self, latency: Duration) {
        self.0.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(HIGHEST));
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (value, count) in other.pairs() {
            self.0.saturating_record_n(value, count);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.reset();
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// In seconds, as all that follow; 0 if nothing was recorded.
    pub(crate) fn quantile(&self, quantile: f64) -> f64 {
        seconds(self.0.value_at_quantile(quantile))
    }

    pub(crate) fn max(&self) -> f64 {
        seconds(self.0.max())
    }

    pub(crate) fn mean(&self) -> f64 {
        self.0.mean() / 1e9
    }

    /// The share of latencies above this one.
    pub(crate) fn share_above(&self, latency: Duration) -> f64 {
        if self.0.is_empty() {
            return 0.0;
        }
        let value = u64::try_from(latency.as_nanos()).unwrap_or(HIGHEST);
        1.0 - self.0.quantile_below(value)
    }

    fn pairs(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value()))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a latency has at most 42 bits")]
fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    digits: u8,
    nanoseconds: Vec<(u64, u64)>,
}

impl Serialize for Latencies {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Stored { digits: self.0.sigfig(), nanoseconds: self.pairs().collect() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Latencies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Stored::deserialize(deserializer)?;
        if !(2..=3).contains(&stored.digits) {
            return Err(serde::de::Error::custom("a histogram has 2 or 3 digits"));
        }
        let mut latencies = Self::with_digits(stored.digits);
        for (value, count) in stored.nanoseconds {
            latencies.0.saturating_record_n(value, count);
        }
        Ok(latencies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_keeps_every_quantile() {
        let mut latencies = Latencies::precise();
        for number in 1..=10_000 {
            latencies.record(Duration::from_micros(number * number % 77_777));
        }
        let text = serde_json::to_string(&latencies).unwrap();
        let read: Latencies = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        for quantile in [0.0, 0.5, 0.9, 0.99, 0.999, 1.0] {
            assert!((read.quantile(quantile) - latencies.quantile(quantile)).abs() < 1e-12, "{quantile}");
        }
        assert_eq!((read.count(), read.max()), (10_000, latencies.max()));
    }

    #[test]
    fn values_are_within_their_precision() {
        for (mut latencies, precision) in [(Latencies::precise(), 0.001), (Latencies::rough(), 0.01)] {
            for micros in [1, 55, 1_234, 987_654, 12_345_678] {
                latencies.clear();
                latencies.record(Duration::from_micros(micros));
                let wanted = Duration::from_micros(micros).as_secs_f64();
                // Latencies below 100 ns count as one.
                assert!((latencies.quantile(0.5) - wanted).abs() <= wanted * precision + 1e-7, "{micros}");
            }
        }
    }

    #[test]
    fn histograms_add_up() {
        let (mut one, mut other) = (Latencies::precise(), Latencies::precise());
        (1..=100).for_each(|number| one.record(Duration::from_millis(number)));
        (101..=200).for_each(|number| other.record(Duration::from_millis(number)));
        one.add(&other);
        assert_eq!(one.count(), 200);
        assert!((one.quantile(0.5) - 0.1).abs() < 0.001);
        assert!((one.share_above(Duration::from_millis(150)) - 0.25).abs() < 0.001);
    }
}
