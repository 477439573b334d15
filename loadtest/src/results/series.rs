//! Values over the time of a run: a value for each window.

use super::numbers::{whole, windows_in_time};
use super::{Run, Tick};
use crate::record::Window;
use crate::service::Scrape;
use crate::shape::Shape;

/// The service reports its CPU time in whole seconds, so it is averaged over this many.
const CPU_SPAN: f64 = 10.0;

pub(crate) type Values = Vec<Option<f64>>;

/// The ends of the windows, in seconds.
pub(crate) fn times(run: &Run) -> Vec<f64> {
    (0..run.recording.windows.len()).map(|number| whole(number as u64 + 1) * run.window).collect()
}

pub(crate) fn of_windows(run: &Run, value: impl Fn(&Window) -> Option<f64>) -> Values {
    run.recording.windows.iter().map(value).collect()
}

/// Answers without failure, by the second. What ended after the measured time is in no rate: nothing was sent any more.
pub(crate) fn rate(run: &Run) -> Values {
    let values =
        of_windows(run, |window| Some(whole(window.requests - window.failed.min(window.requests)) / run.window));
    let within = windows_in_time(run);
    values.into_iter().enumerate().map(|(number, value)| value.filter(|_| number < within)).collect()
}

/// How many were due, by the second; nothing in a closed loop.
pub(crate) fn due(run: &Run) -> Option<Values> {
    let shape: Shape = run.options.rate.as_ref()?.parse().ok()?;
    let middle = |time: f64| (time - run.window / 2.0) / run.options.duration;
    let rate = |time| (middle(time) < 1.0).then(|| shape.at(middle(time)));
    Some(times(run).into_iter().map(rate).collect())
}

pub(crate) fn failures(run: &Run) -> Values {
    of_windows(run, |window| Some(whole(window.failed) / run.window))
}

/// In seconds.
pub(crate) fn quantile(run: &Run, quantile: f64) -> Values {
    of_windows(run, |window| (window.latencies.count() > 0).then(|| window.latencies.quantile(quantile)))
}

pub(crate) fn maximum(run: &Run) -> Values {
    of_windows(run, |window| (window.latencies.count() > 0).then(|| window.latencies.max()))
}

/// A gauge of the service.
pub(crate) fn gauge(run: &Run, name: &str) -> Values {
    at_windows(run, |tick, _| tick.scrape.as_ref()?.get(name))
}

/// A counter of the service, by the second.
pub(crate) fn counter(run: &Run, name: &str) -> Values {
    at_windows(run, |tick, before| {
        let grown = grown(tick.scrape.as_ref()?, before?.scrape.as_ref()?, name)?;
        Some(grown / (tick.at - before?.at))
    })
}

/// How much one counter of the service has grown for each step of another.
pub(crate) fn ratio(run: &Run, sum: &str, count: &str) -> Values {
    at_windows(run, |tick, before| {
        let (now, then) = (tick.scrape.as_ref()?, before?.scrape.as_ref()?);
        let count = grown(now, then, count)?;
        (count > 0.0).then_some(grown(now, then, sum)? / count)
    })
}

/// The share that the first counter has of both.
pub(crate) fn share(run: &Run, of: &str, other: &str) -> Values {
    at_windows(run, |tick, before| {
        let (now, then) = (tick.scrape.as_ref()?, before?.scrape.as_ref()?);
        let (of, other) = (grown(now, then, of)?, grown(now, then, other)?);
        (of + other > 0.0).then_some(of / (of + other))
    })
}

/// A quantile of the durations that the service measured itself, in seconds, interpolated within its buckets.
pub(crate) fn service_quantile(run: &Run, quantile: f64) -> Values {
    at_windows(run, |tick, before| bucket_quantile(tick.scrape.as_ref()?, before?.scrape.as_ref()?, quantile))
}

/// Cores that the service used.
pub(crate) fn service_cpu(run: &Run) -> Values {
    over_span(run, |tick| tick.scrape.as_ref()?.get("cpu_seconds"))
}

/// Cores that the generator used.
pub(crate) fn generator_cpu(run: &Run) -> Values {
    at_windows(run, |tick, before| Some((tick.generator_cpu - before?.generator_cpu) / (tick.at - before?.at)))
}

pub(crate) fn of_ticks(run: &Run, value: impl Fn(&Tick) -> Option<f64>) -> Values {
    at_windows(run, |tick, _| value(tick))
}

/// How much a counter of the service has grown in the measured time.
pub(crate) fn growth(run: &Run, name: &str) -> Option<f64> {
    let within = |tick: &&Tick| tick.at >= -0.5 && tick.at <= run.seconds + 1.5;
    let mut scrapes = run.ticks.iter().filter(within).filter_map(|tick| tick.scrape.as_ref());
    let first = scrapes.next()?;
    grown(scrapes.next_back()?, first, name)
}

fn grown(now: &Scrape, then: &Scrape, name: &str) -> Option<f64> {
    // A service that was started anew begins at zero.
    now.get(name).zip(then.get(name)).map(|(now, then)| now - then).filter(|grown| *grown >= 0.0)
}

fn over_span(run: &Run, value: impl Fn(&Tick) -> Option<f64>) -> Values {
    at_windows(run, |tick, _| {
        let before = run.ticks.iter().rfind(|before| before.at <= tick.at - CPU_SPAN + 0.1)?;
        Some((value(tick)? - value(before)?) / (tick.at - before.at)).filter(|value| *value >= 0.0)
    })
}

/// The value at the end of each window, made of the tick that is nearest to it and the one before.
fn at_windows(run: &Run, value: impl Fn(&Tick, Option<&Tick>) -> Option<f64>) -> Values {
    let mut values = vec![None; run.recording.windows.len()];
    let ticks = run.ticks.iter();
    let before = std::iter::once(None).chain(run.ticks.iter().map(Some));
    for (tick, before) in ticks.zip(before) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a window's number")]
        let number = (tick.at / run.window).round().max(0.0) as usize;
        // The tick at 0 is before all windows.
        if let Some(slot) = number.checked_sub(1).and_then(|number| values.get_mut(number)) {
            *slot = value(tick, before);
        }
    }
    values
}

fn bucket_quantile(now: &Scrape, then: &Scrape, quantile: f64) -> Option<f64> {
    let bound = |name: &str| name.strip_prefix("duration_le_").map(|le| le.parse().unwrap_or(f64::INFINITY));
    let buckets = now.0.keys().filter_map(|name| Some((bound(name)?, grown(now, then, name)?)));
    let mut buckets = Vec::from_iter(buckets);
    buckets.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    let all = buckets.last().map(|(_, count)| *count).filter(|count| *count > 0.0)?;
    let wanted = all * quantile;
    let (mut low, mut below) = (0.0, 0.0);
    for (high, count) in buckets {
        if count >= wanted {
            // Beyond the last bound nothing is known.
            return Some(if high.is_finite() {
                low + (high - low) * (wanted - below) / (count - below).max(1e-9)
            } else {
                low
            });
        }
        (low, below) = (high, count);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_within_their_buckets() {
        let scrape = |counts: [f64; 3]| {
            let names = ["duration_le_0.001", "duration_le_0.01", "duration_le_+Inf"];
            Scrape(names.map(str::to_owned).into_iter().zip(counts).collect())
        };
        let (then, now) = (scrape([10.0, 10.0, 10.0]), scrape([60.0, 110.0, 110.0]));
        assert_eq!(bucket_quantile(&now, &then, 0.5), Some(0.001));
        let p75 = bucket_quantile(&now, &then, 0.75).unwrap();
        assert!((p75 - 0.0055).abs() < 1e-9, "{p75}");
        assert_eq!(bucket_quantile(&scrape([10.0, 10.0, 20.0]), &then, 0.5), Some(0.01));
        assert_eq!(bucket_quantile(&then, &then, 0.5), None);
    }
}
