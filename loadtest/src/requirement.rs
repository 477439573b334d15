//! What a run must reach: `--require 'p99<20ms' 'errors<0.1%'`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::results::numbers::Numbers;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Requirement {
    quantity: Quantity,
    comparison: Comparison,
    bound: f64,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Quantity {
    /// A quantile of the latency, in seconds.
    Quantile(f64),
    Max,
    Mean,
    /// The share of failed requests.
    Errors,
    /// Answers a second.
    Rate,
    /// How late the generator was, at the 99th percentile, in seconds.
    Late,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Requirement {
    /// A sentence about what was measured, if that does not meet the requirement.
    pub(crate) fn missed(&self, numbers: &Numbers) -> Option<String> {
        let value = match self.quantity {
            Quantity::Quantile(quantile) => numbers.quantile(quantile),
            Quantity::Max => numbers.max,
            Quantity::Mean => numbers.mean,
            Quantity::Errors => numbers.errors,
            Quantity::Rate => numbers.rate,
            Quantity::Late => numbers.late,
        };
        let is_met = match self.comparison {
            Comparison::Less => value < self.bound,
            Comparison::LessOrEqual => value <= self.bound,
            Comparison::Greater => value > self.bound,
            Comparison::GreaterOrEqual => value >= self.bound,
        };
        // Without a request there is nothing that could meet it.
        (!is_met || numbers.requests == 0).then(|| format!("required {self}, measured {}", self.quantity.show(value)))
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Requirement {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no requirement: expected such as p99<20ms, errors<0.1%, rate>=4900");
        let at = text.find(['<', '>']).ok_or_else(wrong)?;
        let (name, rest) = text.split_at(at);
        let (comparison, bound) = Comparison::strip(rest).ok_or_else(wrong)?;
        let quantity = Quantity::parse(name.trim()).ok_or_else(wrong)?;
        let bound = quantity.bound(bound.trim()).ok_or_else(wrong)?;
        Ok(Self { quantity, comparison, bound, text: text.to_owned() })
    }
}

impl Comparison {
    fn strip(text: &str) -> Option<(Self, &str)> {
        let all = [("<=", Self::LessOrEqual), (">=", Self::GreaterOrEqual), ("<", Self::Less), (">", Self::Greater)];
        all.into_iter().find_map(|(sign, comparison)| Some((comparison, text.strip_prefix(sign)?)))
    }
}

impl Quantity {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "max" => Some(Self::Max),
            "mean" => Some(Self::Mean),
            "errors" => Some(Self::Errors),
            "rate" => Some(Self::Rate),
            "late" => Some(Self::Late),
            _ => {
                let percentile: f64 = name.strip_prefix('p')?.parse().ok()?;
                (0.0..=100.0).contains(&percentile).then_some(Self::Quantile(percentile / 100.0))
            }
        }
    }

    fn bound(self, text: &str) -> Option<f64> {
        let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
        match self {
            Self::Errors => Some(number(text.strip_suffix('%')?)? / 100.0),
            Self::Rate => number(text),
            _ => humantime::parse_duration(text).ok().as_ref().map(Duration::as_secs_f64),
        }
    }

    fn show(self, value: f64) -> String {
        match self {
            Self::Errors => format!("{:.3}%", value * 100.0),
            Self::Rate => format!("{value:.1}"),
            _ => format!("{:.3} ms", value * 1e3),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_in_their_own_units() {
        for (text, quantity, bound) in [
            ("p99<20ms", Quantity::Quantile(0.99), 0.02),
            ("p50 <= 1s", Quantity::Quantile(0.5), 1.0),
            ("max<2s", Quantity::Max, 2.0),
            ("errors<0.1%", Quantity::Errors, 0.001),
            ("rate>=4900", Quantity::Rate, 4900.0),
            ("late<1ms", Quantity::Late, 0.001),
        ] {
            let requirement: Requirement = text.parse().unwrap();
            assert_eq!(requirement.quantity, quantity, "{text}");
            assert!((requirement.bound - bound).abs() < 1e-12, "{text}");
        }
    }

    #[test]
    fn what_is_no_requirement_is_an_error() {
        for text in
            ["", "p99", "p99<", "p99<20", "p101<1ms", "errors<0.1", "rate>fast", "p99=20ms", "q<1ms", "rate>NaN"]
        {
            assert!(text.parse::<Requirement>().is_err(), "{text}");
        }
    }
}
