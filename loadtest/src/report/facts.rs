//! A run's numbers as text and tables.

use std::fmt::Write as _;

use super::html::{escape, list, part, table};
use crate::results::numbers::{Numbers, whole};
use crate::results::{Run, series, verdicts};

pub(super) fn heading(title: &str, about: &str, verdicts: &[String]) -> String {
    let verdicts = Vec::from_iter(verdicts.iter().map(|verdict| format!("<li>{}</li>", escape(verdict))));
    let warning = if verdicts.is_empty() {
        String::new()
    } else {
        format!("<ul class=\"verdicts\" role=\"note\">{}</ul>", verdicts.concat())
    };
    format!("{warning}<header><h1>{}</h1><p>{}</p></header>", escape(title), escape(about))
}

pub(super) fn title(run: &Run) -> String {
    let load = match &run.options.rate {
        Some(rate) => format!("{rate} requests a second due"),
        None => format!("{} connections, closed loop", run.options.connections),
    };
    format!("Load test: {}, {load}", run.options.scenario)
}

pub(super) fn about(run: &Run) -> String {
    let service = run.service.as_ref().map_or_else(
        || "a service whose metrics were not seen".to_owned(),
        |it| format!("user-service {} ({}) on {}", it.version, it.commit, it.database),
    );
    format!("{service}, at {}, {} UTC", run.options.url, utc(run.began))
}

pub(super) fn heading_of_run(run: &Run) -> String {
    heading(&title(run), &about(run), &verdicts(run))
}

pub(super) fn tiles(run: &Run) -> String {
    let numbers = Numbers::of(run);
    let at = |quantile: f64| milliseconds(numbers.quantile(quantile));
    let cpu =
        series::growth(run, "cpu_seconds").zip(series::growth(run, "requests").filter(|requests| *requests > 0.0));
    let entries = [
        ("Answered a second", grouped(numbers.rate)),
        ("p50", at(0.5)),
        ("p90", at(0.9)),
        ("p99", at(0.99)),
        ("p99.9", at(0.999)),
        ("Max", milliseconds(numbers.max)),
        ("Failed", format!("{:.2}%", numbers.errors * 100.0)),
        (
            "CPU for 10,000",
            cpu.map_or_else(|| "–".to_owned(), |(cpu, requests)| format!("{:.2} s", cpu / requests * 1e4)),
        ),
    ];
    list("tiles", &entries)
}

pub(super) fn operations(run: &Run) -> String {
    let rows = run.recording.operations.iter().map(|(name, operation)| {
        let at = |quantile: f64| milliseconds(operation.latencies.quantile(quantile));
        [
            name.clone(),
            grouped(whole(operation.requests)),
            grouped(whole(operation.failed)),
            at(0.5),
            at(0.9),
            at(0.99),
            at(0.999),
            milliseconds(operation.latencies.max()),
        ]
    });
    let head = ["", "requests", "failed", "p50", "p90", "p99", "p99.9", "max"];
    part("Operations", "", &table(head, &Vec::from_iter(rows)))
}

pub(super) fn answers(run: &Run) -> String {
    let statuses = run.recording.statuses.iter().map(|(status, count)| [status.clone(), grouped(whole(*count))]);
    let mut html = part("Answers", "", &table(["status", "requests"], &Vec::from_iter(statuses)));
    let errors = run.recording.errors.iter().map(|(kind, errors)| {
        [kind.clone(), grouped(whole(errors.count)), format!("{:.1} s", errors.first_at), errors.example.clone()]
    });
    let errors = Vec::from_iter(errors);
    if !errors.is_empty() {
        let note = "The first of each kind is the example. Those that were refused (429, 503) are in no latency.";
        html.push_str(&part("Errors", note, &table(["kind", "requests", "first after", "example"], &errors)));
    }
    html
}

/// How the numbers came about.
pub(super) fn conditions(run: &Run) -> String {
    let options = &run.options;
    let numbers = Numbers::of(run);
    let mut html = list(
        "facts",
        &[
            ("run", options.run.clone()),
            ("scenario", options.scenario.clone()),
            ("loop", options.rate.as_ref().map_or_else(|| "closed".to_owned(), |rate| format!("open, {rate}/s"))),
            ("connections", grouped(whole(options.connections))),
            ("users", grouped(whole(options.users))),
            ("warm-up, measured", format!("{} s, {:.0} s", options.warm_up, run.seconds)),
            ("timeout", format!("{} s", options.timeout)),
            ("generator", run.program.clone()),
            ("late, p99", options.rate.as_ref().map_or_else(String::new, |_| milliseconds(numbers.late))),
            (
                "waited for a connection",
                options.rate.as_ref().map_or_else(String::new, |_| format!("{:.1}%", numbers.waited * 100.0)),
            ),
        ],
    );
    for generator in &run.generators {
        let machine = &generator.machine;
        let place = if generator.is_local { "the service’s machine" } else { "another machine than the service’s" };
        html.push_str(&list(
            "facts",
            &[
                ("generator on", place.to_owned()),
                (
                    "machine",
                    format!("{}, {} cores, {} GiB", machine.processor, machine.cores, machine.memory_bytes >> 30),
                ),
                ("system", format!("{}, Linux {}", machine.system, machine.kernel)),
                ("busiest thread", format!("{:.0}% of a core", generator.busiest_thread * 100.0)),
            ],
        ));
        let _ = write!(html, "<pre>{}</pre>", escape(&generator.command_line.join(" ")));
    }
    part("Conditions", "", &html)
}

/// In milliseconds, with as many digits as they are worth.
pub(super) fn milliseconds(seconds: f64) -> String {
    let milliseconds = seconds * 1e3;
    match milliseconds {
        ..9.9995 => format!("{milliseconds:.2} ms"),
        9.9995..99.95 => format!("{milliseconds:.1} ms"),
        _ => format!("{} ms", grouped(milliseconds)),
    }
}

/// A whole number with commas.
pub(super) fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

fn utc(unix: f64) -> String {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs_f64(unix.max(0.0));
    humantime::format_rfc3339_seconds(time).to_string().replace('T', " ").trim_end_matches('Z').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let shown = [0.4, 999.0, 1000.0, 1_234_567.0].map(grouped);
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0.000_123, 0.012_34, 0.5, 2.5].map(milliseconds), ["0.12 ms", "12.3 ms", "500 ms", "2,500 ms"]);
        assert_eq!(utc(0.0), "1970-01-01 00:00:00");
    }
}
