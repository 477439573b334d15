//! Numbers as JSON writes them.

/// The largest exponent that a number may be written with, and the smallest below zero: those of a double (IEEE 754).
const MAX_EXPONENT: u32 = 308;

/// The canonical text of a number: its digits as they are, the exponent with a small `e` and without `+` or leading
/// zeros.
///
/// # Errors
/// Why others could not read it: most programs keep numbers as doubles.
pub(super) fn canonical(text: &str) -> Result<String, &'static str> {
    let (digits, exponent) = text.split_once(['e', 'E']).map_or((text, None), |(digits, exp)| (digits, Some(exp)));
    let is_finite = text.parse::<f64>().is_ok_and(f64::is_finite);
    let exponent = exponent.map(|exponent| exponent.parse::<i64>().unwrap_or(i64::MAX));
    if !is_finite || exponent.is_some_and(|exponent| exponent.unsigned_abs() > MAX_EXPONENT.into()) {
        return Err("must be a number within ±1.8e308, with an exponent of at most 308");
    }
    Ok(exponent.map_or_else(|| digits.to_owned(), |exponent| format!("{digits}e{exponent}")))
}
