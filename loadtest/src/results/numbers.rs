//! The numbers of a run that are required, summed up and compared.

use super::Run;
use crate::record::Latencies;

pub(crate) struct Numbers {
    pub requests: u64,
    pub failed: u64,
    /// Answers a second without failures, in the measured time.
    pub rate: f64,
    /// The share of requests that failed.
    pub errors: f64,
    /// In seconds.
    pub max: f64,
    pub mean: f64,
    /// How late the generator was, at the 99th percentile, in seconds.
    pub late: f64,
    /// The share of requests that waited for a free connection for more than a millisecond.
    pub waited: f64,
    latencies: Latencies,
}

impl Numbers {
    pub(crate) fn of(run: &Run) -> Self {
        let measured = || run.measured().map(|(_, operation)| operation);
        let requests: u64 = measured().map(|operation| operation.requests).sum();
        // A failure is one, whether the run is measured by such requests or not.
        let failed: u64 = run.recording.operations.values().map(|operation| operation.failed).sum();
        let all: u64 = run.recording.operations.values().map(|operation| operation.requests).sum();
        let latencies = run.latencies();
        let (mut late, mut waited) = (Latencies::precise(), Latencies::precise());
        for generator in &run.generators {
            late.add(&generator.late);
            waited.add(&generator.waited);
        }
        Self {
            requests,
            failed,
            rate: whole(in_time(run)) / run.seconds,
            errors: if all == 0 { 0.0 } else { whole(failed) / whole(all) },
            max: latencies.max(),
            mean: latencies.mean(),
            late: late.quantile(0.99),
            waited: waited.share_above(std::time::Duration::from_millis(1)),
            latencies,
        }
    }

    /// In seconds.
    pub(crate) fn quantile(&self, quantile: f64) -> f64 {
        self.latencies.quantile(quantile)
    }
}

/// Successes within the measured time, without those that ended after it.
fn in_time(run: &Run) -> u64 {
    let windows = windows_in_time(run);
    run.recording.windows.iter().take(windows).map(|window| window.requests - window.failed.min(window.requests)).sum()
}

/// How many windows lie within the measured time.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of windows")]
pub(crate) fn windows_in_time(run: &Run) -> usize {
    ((run.seconds / run.window).ceil() as usize).min(run.recording.windows.len())
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
pub(crate) fn whole(count: u64) -> f64 {
    count as f64
}
