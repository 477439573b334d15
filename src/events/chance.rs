/// A number from 0 to 1 by chance, to spread over time what many would do at once. No secret.
pub(super) fn chance() -> f64 {
    // Without a source of randomness all do it in the middle.
    f64::from(getrandom::u32().unwrap_or(u32::MAX / 2)) / f64::from(u32::MAX)
}
