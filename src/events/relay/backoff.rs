use std::time::Duration;

/// The pause after this many failures in a row. It doubles up to `most`, minus jitter of up to half of it, so that
/// replicas do not retry at the same time.
pub(super) fn backoff(failures: u32, most: Duration) -> Duration {
    const FIRST: Duration = Duration::from_secs(1);
    let full = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(most);
    full.mul_f64(1.0 - 0.5 * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_a_bound() {
        let most = Duration::from_secs(30);
        for (failures, full) in [(0, 1), (1, 1), (2, 2), (5, 16), (6, 30), (u32::MAX, 30)] {
            let (pause, full) = (backoff(failures, most), Duration::from_secs(full));
            assert!(full / 2 <= pause && pause <= full, "{failures}: {pause:?}");
        }
    }
}
