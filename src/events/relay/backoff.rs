use std::time::Duration;

/// How long to wait after so many failures in a row: twice as long each time, up to `most`, and up to half of it by chance,
/// so that replicas do not all come back at once.
pub(super) fn backoff(failures: u32, most: Duration) -> Duration {
    const FIRST: Duration = Duration::from_secs(1);
    let full = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(most);
    full.mul_f64(1.0 - 0.5 * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_a_bound() {
        let most = Duration::from_secs(30);
        for (failures, full) in [(0, 1), (1, 1), (2, 2), (5, 16), (6, 30), (u32::MAX, 30)] {
            let (pause, full) = (backoff(failures, most), Duration::from_secs(full));
            assert!(full / 2 <= pause && pause <= full, "{failures}: {pause:?}");
        }
    }
}
