//! Where the time of slow requests went, by what the service said in `Server-Timing`.

use std::fmt::Write as _;

use super::facts::grouped;
use super::html::{escape, part};
use crate::record::{Sample, Samples};
use crate::results::numbers::whole;

/// The parts of a bar, in milliseconds.
struct Parts {
    queue: f64,
    database: f64,
    /// In the service, beside these.
    rest: f64,
    /// Before and after the service had it.
    outside: f64,
}

pub(super) fn section(samples: &Samples) -> String {
    let title = "Where the time went";
    if samples.asked == 0 {
        return String::new();
    }
    let asked = grouped(whole(samples.asked));
    if samples.answered == 0 {
        let note = format!(
            "{asked} requests asked for Server-Timing, and no answer had it: this service does not send it, or somebody \
             between removes it."
        );
        return part(title, &note, "");
    }
    let note = format!(
        "{asked} requests asked for Server-Timing, and {} answers had it. The first bar is their mean, the others are the \
         slowest of them. Outside is what the client measured beyond the service’s total.",
        grouped(whole(samples.answered))
    );
    let count = whole(samples.answered);
    let mean = |name: &str| samples.server.get(name).copied().unwrap_or_default() / count;
    let mean = Parts::new(samples.client / count, mean("total"), mean("queue"), mean("db"));
    let longest = samples.slowest.first().map_or(0.0, |sample| sample.client).max(1e-9);
    let mut html = legend();
    html.push_str("<div class=\"wide\"><table class=\"timing\"><tbody>");
    html.push_str(&row("mean", "", &mean, longest));
    for sample in &samples.slowest {
        html.push_str(&row(
            &format!("{} at {:.1} s", sample.operation, sample.at),
            &words(sample),
            &parts(sample),
            longest,
        ));
    }
    html.push_str("</tbody></table></div>");
    part(title, &note, &html)
}

impl Parts {
    /// The service's clock and the client's need not agree to the last digit.
    fn new(client: f64, total: f64, queue: f64, database: f64) -> Self {
        let total = total.max(queue + database);
        Self { queue, database, rest: total - queue - database, outside: (client - total).max(0.0) }
    }

    fn all(&self) -> [(&'static str, f64); 4] {
        [("outside", self.outside), ("queue", self.queue), ("database", self.database), ("rest", self.rest)]
    }
}

fn parts(sample: &Sample) -> Parts {
    let duration = |name: &str| sample.server.durations.get(name).copied().unwrap_or_default();
    Parts::new(sample.client, duration("total"), duration("queue"), duration("db"))
}

fn words(sample: &Sample) -> String {
    let words = sample.server.descriptions.iter().map(|(name, text)| format!("{name} {text}"));
    Vec::from_iter(words).join(", ")
}

fn legend() -> String {
    let names = [("outside", "outside"), ("queue", "queue"), ("database", "database"), ("rest", "rest of the service")];
    let items = names.map(|(class, name)| format!("<li><i class=\"{class}\"></i>{name}</li>"));
    format!("<ul class=\"parts\">{}</ul>", items.concat())
}

fn row(name: &str, words: &str, parts: &Parts, longest: f64) -> String {
    let mut bar = String::new();
    let mut title = Vec::new();
    for (class, duration) in parts.all() {
        let _ = write!(bar, "<i class=\"{class}\" style=\"width:{:.2}%\"></i>", duration / longest * 100.0);
        title.push(format!("{class} {duration:.2} ms"));
    }
    let (name, words, title) = (escape(name), escape(words), escape(&title.join(", ")));
    let sum: f64 = parts.all().iter().map(|(_, duration)| duration).sum();
    format!(
        "<tr><td>{name}</td><td class=\"number\">{sum:.2} ms</td><td class=\"bar\" title=\"{title}\">{bar}</td>\
         <td>{words}</td></tr>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::ServerTiming;

    #[test]
    fn a_service_that_says_nothing_is_named() {
        let mut samples = Samples::default();
        assert_eq!(section(&samples), "");
        let silent = Sample { operation: "read".to_owned(), at: 1.0, client: 2.0, server: ServerTiming::default() };
        samples.add(silent);
        assert!(section(&samples).contains("no answer had it"));
    }

    #[test]
    fn the_bar_has_all_parts() {
        let mut samples = Samples::default();
        let header = "total;dur=6, queue;dur=1, batch;desc=\"28\", db;dur=3, cache;desc=hit";
        let server = ServerTiming::parse(header);
        samples.add(Sample { operation: "update".to_owned(), at: 1.5, client: 10.0, server });
        let html = section(&samples);
        for wanted in [
            "update at 1.5 s",
            "10.00 ms",
            "outside 4.00 ms, queue 1.00 ms, database 3.00 ms, rest 2.00 ms",
            "batch 28, cache hit",
        ] {
            assert!(html.contains(wanted), "{wanted} in {html}");
        }
    }
}
