//! The page, and the text, of two runs beside each other.

use std::fmt::Write as _;

use super::charts::{self, Chart, Line, Unit, dashed, line, times};
use super::facts;
use super::html::{Page, part, table};
use crate::results::comparison::{self, Line as Compared};
use crate::results::{Run, series, verdicts};

const NOTE: &str = "The interval is of the ratio of means over windows, at 95%. It holds the noise within these two runs; \
runs of the same program on another day may differ by more. Repeat both, alternately, before you believe a small difference.";

/// The first run is A, the second is B.
pub(crate) fn of_comparison(one: &Run, other: &Run) -> String {
    let mut verdicts_of_both = Vec::new();
    for (name, run) in [("A", one), ("B", other)] {
        verdicts_of_both.extend(verdicts(run).into_iter().map(|verdict| format!("{name}: {verdict}")));
    }
    verdicts_of_both.extend(unlike(one, other));
    let about = format!("A: {}. B: {}.", facts::about(one), facts::about(other));
    let rows = Vec::from_iter(comparison::lines(one, other).iter().map(row));
    let table = table(["", "A", "B", "B / A", "95% interval", ""], &rows);
    let above = [facts::heading(&title(one, other), &about, &verdicts_of_both), part("B beside A", NOTE, &table)];
    let below = [facts::conditions(one), facts::conditions(other)];
    Page { title: title(one, other), above: above.concat(), below: below.concat(), charts: drawn(one, other) }.html()
}

pub(crate) fn comparison_as_text(one: &Run, other: &Run) -> String {
    let mut text = String::new();
    if let Some(sentence) = unlike(one, other) {
        let _ = writeln!(text, "! {sentence}");
    }
    for compared in comparison::lines(one, other) {
        let [name, a, b, ratio, interval, word] = row(&compared);
        let _ = writeln!(text, "{name:<32} {a:>14} {b:>14}   x {ratio:<6} {interval:<14} {word}");
    }
    text
}

fn title(one: &Run, other: &Run) -> String {
    format!(
        "Two load tests: {} ({}) and {} ({})",
        one.options.scenario, one.options.run, other.options.scenario, other.options.run
    )
}

/// Why the two cannot be compared, or only with care.
fn unlike(one: &Run, other: &Run) -> Option<String> {
    let conditions = |run: &Run| {
        let machines = Vec::from_iter(run.generators.iter().map(|generator| generator.machine.clone()));
        let options = &run.options;
        [
            ("scenario", options.scenario.clone()),
            ("rate", format!("{:?}", options.rate)),
            ("connections", options.connections.to_string()),
            ("number of users", options.users.to_string()),
            ("duration", options.duration.to_string()),
            ("machine", format!("{machines:?}")),
        ]
    };
    let pairs = conditions(one).into_iter().zip(conditions(other));
    let names = Vec::from_iter(pairs.filter(|(one, other)| one.1 != other.1).map(|((name, _), _)| name));
    (!names.is_empty()).then(|| format!("The two runs differ in their conditions: {}.", names.join(", ")))
}

fn row(compared: &Compared) -> [String; 6] {
    let value = |value: f64| match compared.unit {
        "/s" => format!("{}/s", facts::grouped(value)),
        unit => format!("{value:.3} {unit}"),
    };
    let word = match compared.differs() {
        Some(true) => "they differ by more than their noise",
        Some(false) => "within their noise",
        None => "",
    };
    [
        compared.name.to_owned(),
        value(compared.one),
        value(compared.other),
        compared.ratio().map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.3}")),
        compared.interval.map_or_else(|| "–".to_owned(), |(low, high)| format!("{low:.3} to {high:.3}")),
        word.to_owned(),
    ]
}

/// The axis is the longer run's.
fn drawn(one: &Run, other: &Run) -> Vec<Chart> {
    let axis = if one.recording.windows.len() >= other.recording.windows.len() { one } else { other };
    let both = |value: &dyn Fn(&Run) -> series::Values| -> Vec<Line> {
        let drawn = [line("A", 1, value(one)), dashed(line("B", 2, value(other)))];
        let drawn = drawn.map(|mut line| {
            line.values.resize(axis.recording.windows.len(), None);
            line
        });
        drawn.into()
    };
    let quantile = |quantile: f64| both(&move |run| times(1e3, series::quantile(run, quantile)));
    let chart = |title, note, unit, lines| Chart::over_time(axis, title, note, unit, lines);
    let ms = Unit::Milliseconds;
    vec![
        chart("Throughput", "Answers without failure, by the second.", Unit::Rate, both(&series::rate)),
        chart("p50", "", ms, quantile(0.5)).log(),
        chart("p99", "", ms, quantile(0.99)).log(),
        chart("p99.9", "", ms, quantile(0.999)).log(),
        chart("The service’s CPU", "Cores in use, as a mean of 10 s.", Unit::Cores, both(&series::service_cpu)),
        chart("Failed", "By the second.", Unit::Rate, both(&series::failures)),
        charts::distribution(&[("A", one.latencies()), ("B", other.latencies())]),
    ]
}
