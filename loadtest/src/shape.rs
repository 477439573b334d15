//! How many requests a second are due, over the time of a run.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The highest rate that is believed to be meant.
const HIGHEST: f64 = 10_000_000.0;

/// A rate over time: `5000`, a ramp `100..5000`, or steps of equal length `1000,2000,4000`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    Constant(f64),
    Ramp(f64, f64),
    Steps(Vec<f64>),
}

impl Shape {
    /// The due times of a run: for the warm-up at the first rate, then in this shape.
    pub(crate) fn schedule(&self, warm_up: Duration, duration: Duration) -> Schedule {
        let seconds = duration.as_secs_f64();
        let mut pieces = vec![(self.first(), self.first(), warm_up.as_secs_f64())];
        match self {
            Self::Constant(rate) => pieces.push((*rate, *rate, seconds)),
            Self::Ramp(from, to) => pieces.push((*from, *to, seconds)),
            #[expect(clippy::cast_precision_loss, reason = "there are few steps")]
            Self::Steps(rates) => {
                pieces.extend(rates.iter().map(|rate| (*rate, *rate, seconds / rates.len() as f64)));
            }
        }
        Schedule::new(&pieces)
    }

    /// The rate at this share of the measured time.
    pub(crate) fn at(&self, share: f64) -> f64 {
        match self {
            Self::Constant(rate) => *rate,
            Self::Ramp(from, to) => from + (to - from) * share,
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a small number that is not negative"
            )]
            Self::Steps(rates) => {
                let number = (share * rates.len() as f64) as usize;
                rates.get(number).or(rates.last()).copied().unwrap_or_default()
            }
        }
    }

    fn first(&self) -> f64 {
        match self {
            Self::Constant(rate) | Self::Ramp(rate, _) => *rate,
            Self::Steps(rates) => rates.first().copied().unwrap_or(1.0),
        }
    }
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((from, to)) = text.split_once("..") {
            return Ok(Self::Ramp(rate(from)?, rate(to)?));
        }
        let rates = text.split(',').map(rate).collect::<Result<Vec<f64>, String>>()?;
        match rates.as_slice() {
            [only] => Ok(Self::Constant(*only)),
            _ => Ok(Self::Steps(rates)),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(rate) => write!(f, "{rate}"),
            Self::Ramp(from, to) => write!(f, "{from}..{to}"),
            Self::Steps(rates) => {
                let rates = Vec::from_iter(rates.iter().map(ToString::to_string));
                f.write_str(&rates.join(","))
            }
        }
    }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.trim().parse::<f64>().ok().filter(|rate| (0.1..=HIGHEST).contains(rate));
    rate.ok_or_else(|| format!("{text:?} is no rate: expected requests a second, such as 5000, 100..5000 or 1000,2000"))
}

/// When each request is due, since the beginning of the warm-up.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    pieces: Vec<Piece>,
    total: u64,
}

/// A time in which the rate is constant, or changes evenly.
#[derive(Clone, Copy, Debug)]
struct Piece {
    from: f64,
    to: f64,
    seconds: f64,
    /// How much time, and how many requests, lie before it.
    begins: f64,
    before: f64,
}

impl Schedule {
    fn new(pieces: &[(f64, f64, f64)]) -> Self {
        let (mut begins, mut before) = (0.0, 0.0);
        let mut built = Vec::new();
        for &(from, to, seconds) in pieces.iter().filter(|(_, _, seconds)| *seconds > 0.0) {
            built.push(Piece { from, to, seconds, begins, before });
            begins += seconds;
            before += f64::midpoint(from, to) * seconds;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count that is not negative")]
        // Without the sum's error, 5000 a second for 60 s are 300,000 and not one less.
        let total = (before + 1e-6).floor() as u64;
        Self { pieces: built, total }
    }

    /// When the request of this number is due; `None` beyond the end.
    #[expect(clippy::cast_precision_loss, reason = "2^53 requests are never sent")]
    pub(crate) fn due(&self, number: u64) -> Option<Duration> {
        if number >= self.total {
            return None;
        }
        let piece = self.pieces.iter().rev().find(|piece| piece.before <= number as f64)?;
        let within = (number as f64 - piece.before).max(0.0);
        Some(Duration::from_secs_f64(piece.begins + piece.time_of(within)))
    }
}

impl Piece {
    /// Solves `from * t + (to - from) / (2 * seconds) * t² = count` in the form that also holds when `to` is `from`.
    fn time_of(&self, count: f64) -> f64 {
        let slope = (self.to - self.from) / self.seconds;
        let root = (self.from * self.from + 2.0 * slope * count).max(0.0).sqrt();
        (2.0 * count / (self.from + root)).min(self.seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dues(text: &str, warm_up: u64, duration: u64) -> Vec<f64> {
        let shape: Shape = text.parse().unwrap();
        let schedule = shape.schedule(Duration::from_secs(warm_up), Duration::from_secs(duration));
        Vec::from_iter((0..).map_while(|number| schedule.due(number)).map(|due| due.as_secs_f64()))
    }

    #[test]
    fn a_constant_rate_is_even() {
        let dues = dues("4", 0, 2);
        assert_eq!(dues, [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75]);
    }

    #[test]
    fn the_warm_up_is_at_the_first_rate() {
        let dues = dues("10,100", 2, 4);
        assert_eq!(dues.len(), 20 + 20 + 200);
        assert_eq!(dues.iter().filter(|due| **due < 2.0).count(), 20);
        assert_eq!(dues.iter().filter(|due| **due >= 4.0).count(), 200);
    }

    #[test]
    fn a_ramp_is_steeper_and_steeper() {
        let dues = dues("10..30", 0, 10);
        assert_eq!(dues.len(), 200);
        assert!(dues.is_sorted());
        let in_first_half = dues.iter().filter(|due| **due < 5.0).count();
        assert_eq!(in_first_half, 75);
    }

    #[test]
    fn a_ramp_may_go_down() {
        let dues = dues("30..10", 0, 10);
        assert_eq!((dues.len(), dues.iter().filter(|due| **due < 5.0).count()), (200, 125));
        assert!(dues.is_sorted());
    }

    #[test]
    fn totals_are_whole() {
        assert_eq!(dues("5000", 0, 60).len(), 300_000);
        assert_eq!(dues("3,7", 0, 2).len(), 10);
    }

    #[test]
    fn what_is_no_rate_is_an_error() {
        for text in ["", "fast", "0", "-1", "NaN", "inf", "1..", "..5", "1,", "1e9", "1..2..3"] {
            assert!(text.parse::<Shape>().is_err(), "{text}");
        }
    }
}
