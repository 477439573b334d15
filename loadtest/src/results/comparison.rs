//! Whether two runs differ by more than their noise.

use super::numbers::{Numbers, windows_in_time};
use super::{Run, series};

/// How often windows are drawn anew.
const DRAWS: usize = 2_000;

/// One quantity of two runs.
pub(crate) struct Line {
    pub name: &'static str,
    pub unit: &'static str,
    pub one: f64,
    pub other: f64,
    /// The 95% interval of the ratio of the means over windows, other to one; `None` for want of windows.
    pub interval: Option<(f64, f64)>,
}

impl Line {
    pub(crate) fn ratio(&self) -> Option<f64> {
        (self.one > 0.0).then(|| self.other / self.one)
    }

    /// Whether the interval of the ratio leaves out 1.
    pub(crate) fn differs(&self) -> Option<bool> {
        self.interval.map(|(low, high)| low > 1.0 || high < 1.0)
    }
}

pub(crate) fn lines(one: &Run, other: &Run) -> Vec<Line> {
    let numbers = [Numbers::of(one), Numbers::of(other)];
    let [first, second] = &numbers;
    let by_quantile = |name, quantile: f64| Line {
        name,
        unit: "ms",
        one: first.quantile(quantile) * 1e3,
        other: second.quantile(quantile) * 1e3,
        interval: interval(
            &in_time(one, series::quantile(one, quantile)),
            &in_time(other, series::quantile(other, quantile)),
        ),
    };
    let mut lines = vec![
        Line {
            name: "answers without failure",
            unit: "/s",
            one: first.rate,
            other: second.rate,
            interval: interval(&in_time(one, series::rate(one)), &in_time(other, series::rate(other))),
        },
        by_quantile("p50", 0.5),
        by_quantile("p90", 0.9),
        by_quantile("p99", 0.99),
        by_quantile("p99.9", 0.999),
        Line { name: "max", unit: "ms", one: first.max * 1e3, other: second.max * 1e3, interval: None },
        Line { name: "failed", unit: "%", one: first.errors * 100.0, other: second.errors * 100.0, interval: None },
    ];
    if let (Some(one), Some(other)) = (cpu_per_request(one), cpu_per_request(other)) {
        let (one, other) = (one * 1e6, other * 1e6);
        lines.push(Line { name: "the service's CPU for a request", unit: "µs", one, other, interval: None });
    }
    lines
}

fn cpu_per_request(run: &Run) -> Option<f64> {
    let requests = series::growth(run, "requests").filter(|requests| *requests > 0.0)?;
    Some(series::growth(run, "cpu_seconds")? / requests)
}

fn in_time(run: &Run, values: series::Values) -> Vec<f64> {
    values.into_iter().take(windows_in_time(run)).flatten().collect()
}

/// Draws windows of both runs anew, in blocks because neighbours are alike, and looks how the ratio of the means varies.
fn interval(one: &[f64], other: &[f64]) -> Option<(f64, f64)> {
    if one.len() < 5 || other.len() < 5 {
        return None;
    }
    // The same files give the same interval.
    let mut random = fastrand::Rng::with_seed(1);
    let mut ratios = Vec::from_iter((0..DRAWS).map(|_| drawn_mean(other, &mut random) / drawn_mean(one, &mut random)));
    ratios.retain(|ratio| ratio.is_finite());
    ratios.sort_by(f64::total_cmp);
    let at = |share: usize| ratios.get(ratios.len() * share / 1_000).copied();
    Some((at(25)?, at(975)?))
}

#[expect(clippy::cast_precision_loss, reason = "there are few windows")]
fn drawn_mean(values: &[f64], random: &mut fastrand::Rng) -> f64 {
    let block = (values.len() / 10).clamp(1, 10);
    let blocks = values.len().div_ceil(block);
    let drawn = (0..blocks).flat_map(|_| {
        let start = random.usize(..=values.len() - block);
        values.iter().skip(start).take(block)
    });
    drawn.sum::<f64>() / (blocks * block) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noisy(mean: f64, seed: u64) -> Vec<f64> {
        let mut random = fastrand::Rng::with_seed(seed);
        Vec::from_iter((0..60).map(|_| mean * (0.9 + 0.2 * random.f64())))
    }

    #[test]
    fn noise_is_no_difference_and_a_fifth_more_is_one() {
        for seed in 0..20 {
            let (low, high) = interval(&noisy(100.0, seed), &noisy(120.0, seed + 100)).unwrap();
            assert!(low > 1.1 && high < 1.3, "{seed}: {low} {high}");
        }
        let alike = (0..40).filter(|seed| {
            let (low, high) = interval(&noisy(100.0, *seed), &noisy(100.0, seed + 100)).unwrap();
            low <= 1.0 && high >= 1.0
        });
        // At most a few of 40 are convicted by chance.
        assert!(alike.count() >= 34);
    }

    #[test]
    fn few_windows_say_nothing() {
        assert_eq!(interval(&[1.0; 4], &[2.0; 60]), None);
    }
}
