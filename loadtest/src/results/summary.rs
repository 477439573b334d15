//! A run in a few lines, for a terminal.

use std::fmt::Write as _;

use super::numbers::{Numbers, whole};
use super::{Run, series, verdicts};

pub(crate) fn summary(run: &Run) -> String {
    let (numbers, options) = (Numbers::of(run), &run.options);
    let mut text = String::new();
    for verdict in verdicts(run) {
        let _ = writeln!(text, "! {verdict}");
    }
    let load = match &options.rate {
        Some(rate) => format!("open loop, {rate}/s due"),
        None => "closed loop".to_owned(),
    };
    let _ = writeln!(
        text,
        "run {}: {} against {}, {load}, {} connections, {:.0} s",
        options.run, options.scenario, options.url, options.connections, run.seconds
    );
    let _ = writeln!(
        text,
        "{:.1}/s   {} requests, {} failed ({:.3}%)",
        numbers.rate,
        numbers.requests,
        numbers.failed,
        numbers.errors * 100.0
    );
    let at = |quantile: f64| milliseconds(numbers.quantile(quantile));
    let _ = writeln!(
        text,
        "latency in ms: p50 {}   p90 {}   p99 {}   p99.9 {}   max {}",
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999),
        milliseconds(numbers.max)
    );
    if run.recording.operations.len() > 1 {
        for (name, operation) in &run.recording.operations {
            let at = |quantile: f64| milliseconds(operation.latencies.quantile(quantile));
            let (requests, p50, p99) = (operation.requests, at(0.5), at(0.99));
            let _ = writeln!(text, "  {name:<10} {requests:>9}   p50 {p50}   p99 {p99}   {} failed", operation.failed);
        }
    }
    for (kind, errors) in &run.recording.errors {
        let example = errors.example.replace('\n', " ");
        let _ = writeln!(text, "{} x {kind}, first after {:.1} s: {example}", errors.count, errors.first_at);
    }
    text.push_str(&of_the_service(run));
    if options.rate.is_some() {
        let _ = writeln!(text, "the generator was {} ms late at the 99th percentile", milliseconds(numbers.late));
    }
    text
}

fn of_the_service(run: &Run) -> String {
    let Some(cpu) = series::growth(run, "cpu_seconds") else {
        return "the service's metrics were not seen\n".to_owned();
    };
    let mut text = String::new();
    if let Some(requests) = series::growth(run, "requests").filter(|requests| *requests > 0.0) {
        let _ = write!(text, "the service used {:.2} s of CPU for 10,000 requests", cpu / requests * 10_000.0);
    }
    if let Some((hits, misses)) = series::growth(run, "cache_hits").zip(series::growth(run, "cache_misses"))
        && hits + misses > 0.0
    {
        let _ = write!(text, "; {:.1}% of its look-ups of one user came from memory", hits / (hits + misses) * 100.0);
    }
    let memory = series::gauge(run, "memory").into_iter().flatten().fold(0.0, f64::max);
    let _ = writeln!(text, "; {:.0} MiB at most", memory / whole(1 << 20));
    text.trim_start_matches("; ").to_owned()
}

pub(crate) fn milliseconds(seconds: f64) -> String {
    let milliseconds = seconds * 1e3;
    let digits = if milliseconds < 10.0 {
        3
    } else if milliseconds < 100.0 {
        2
    } else {
        1
    };
    format!("{milliseconds:.digits$}")
}
