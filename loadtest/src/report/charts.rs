//! The charts of a page, as data that its script draws.

use serde::Serialize;

use crate::record::Latencies;
use crate::results::Run;
use crate::results::numbers::whole;
use crate::results::series::{self, Values};

const MEBIBYTE: f64 = 1_048_576.0;

#[derive(Serialize)]
pub(super) struct Chart {
    pub title: &'static str,
    #[serde(skip)]
    pub note: &'static str,
    pub unit: Unit,
    /// Whether the vertical axis is logarithmic.
    pub is_log: bool,
    /// Whether the horizontal axis is the distribution's and not the time's.
    pub is_distribution: bool,
    pub at: Vec<f64>,
    pub lines: Vec<Line>,
}

#[derive(Serialize)]
pub(super) struct Line {
    pub name: String,
    pub values: Values,
    /// Which of the page's colours.
    pub color: usize,
    pub is_dashed: bool,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Unit {
    Milliseconds,
    Rate,
    Count,
    Percent,
    Mebibytes,
    Cores,
}

impl Chart {
    /// A chart over time.
    pub(super) fn over_time(run: &Run, title: &'static str, note: &'static str, unit: Unit, lines: Vec<Line>) -> Self {
        Self { title, note, unit, is_log: false, is_distribution: false, at: series::times(run), lines }
    }

    pub(super) fn log(self) -> Self {
        Self { is_log: true, ..self }
    }

    fn has_values(&self) -> bool {
        self.lines.iter().any(|line| line.values.iter().any(Option::is_some))
    }
}

pub(super) fn line(name: impl Into<String>, color: usize, values: Values) -> Line {
    Line { name: name.into(), values, color, is_dashed: false }
}

pub(super) fn dashed(line: Line) -> Line {
    Line { is_dashed: true, ..line }
}

pub(super) fn times(factor: f64, values: Values) -> Values {
    values.into_iter().map(|value| value.map(|value| value * factor)).collect()
}

/// What clients saw first, then what the service said, on the same axis.
pub(super) fn of_run(run: &Run) -> Vec<Chart> {
    let mut charts = vec![throughput(run), latency(run)];
    charts.extend(of_service(run).into_iter().filter(Chart::has_values));
    charts.push(distribution(&[("", run.latencies())]));
    charts
}

fn throughput(run: &Run) -> Chart {
    let mut lines = vec![line("answered", 1, series::rate(run)), line("failed", 2, series::failures(run))];
    lines.extend(series::due(run).map(|due| dashed(line("due", 5, due))));
    let served = series::counter(run, "requests");
    if run.options.scenario != "watch" && served.iter().any(Option::is_some) {
        lines.push(dashed(line("the service counted", 3, served)));
    }
    let note = "By the second. What the service counted includes the requests of others, and a look at its metrics each second.";
    Chart::over_time(run, "Throughput", note, Unit::Rate, lines)
}

fn latency(run: &Run) -> Chart {
    let at = |name: &str, color, quantile| line(name, color, times(1e3, series::quantile(run, quantile)));
    let lines = vec![
        at("p50", 1, 0.5),
        at("p90", 3, 0.9),
        at("p99", 2, 0.99),
        at("p99.9", 4, 0.999),
        line("max", 5, times(1e3, series::maximum(run))),
    ];
    let note = match run.options.rate {
        Some(_) => "Of the requests that ended in each window, from when they were due.",
        None => "Of the requests that ended in each window, from when they were sent.",
    };
    Chart::over_time(run, "Latency", note, Unit::Milliseconds, lines).log()
}

fn of_service(run: &Run) -> Vec<Chart> {
    let lanes = [("lookups", 1), ("pages", 3), ("writes", 2)];
    let by_lane = |value: &dyn Fn(&str) -> Values| {
        let lines = lanes.iter().map(|(lane, color)| line(*lane, *color, value(lane)));
        Vec::from_iter(lines.filter(|line| line.values.iter().any(Option::is_some)))
    };
    let cores = run.generators.iter().map(|generator| whole(generator.machine.cores)).fold(0.0, f64::max);
    let (ms, count) = (Unit::Milliseconds, Unit::Count);
    let inside = vec![
        line("service p50", 1, times(1e3, series::service_quantile(run, 0.5))),
        line("service p99", 2, times(1e3, series::service_quantile(run, 0.99))),
        dashed(line("client p99", 4, times(1e3, series::quantile(run, 0.99)))),
    ];
    let size = by_lane(&|lane| series::ratio(run, &format!("batched_{lane}"), &format!("batches_{lane}")));
    let waiting = by_lane(&|lane| series::gauge(run, &format!("waiting_{lane}")));
    let wait =
        by_lane(&|lane| times(1e3, series::ratio(run, &format!("wait_seconds_{lane}"), &format!("waits_{lane}"))));
    let database = by_lane(&|lane| {
        times(1e3, series::ratio(run, &format!("database_seconds_{lane}"), &format!("transactions_{lane}")))
    });
    let hits = vec![line("hits", 1, times(100.0, series::share(run, "cache_hits", "cache_misses")))];
    let memory = vec![line("resident", 1, times(1.0 / MEBIBYTE, series::gauge(run, "memory")))];
    let cpu = vec![
        line("service", 1, series::service_cpu(run)),
        line("generator", 2, series::generator_cpu(run)),
        dashed(line("generator's machine", 5, times(cores, series::of_ticks(run, |tick| tick.busy)))),
    ];
    let over_time = |title, note, unit, lines| Chart::over_time(run, title, note, unit, lines);
    vec![
        over_time(
            "Latency, as the service measured it",
            "From a request’s head to its response’s, from the service’s buckets. What the client saw beyond it is the \
             network, and waits on either side of it.",
            ms,
            inside,
        )
        .log(),
        over_time("Batch size", "Requests that shared one transaction, on average.", count, size),
        over_time("Queue", "Requests that wait for a database actor, at that moment.", count, waiting),
        over_time("Wait in the queue", "On average, until an actor took them.", ms, wait),
        over_time("Database time", "A batch’s transaction with its commit, on average.", ms, database),
        over_time("Refused", "By the service at once, for want of room.", Unit::Rate, refused(run)),
        over_time("Cache hits", "Look-ups of one user that were answered from memory.", Unit::Percent, hits),
        over_time("CPU", "Cores in use. The service’s is a mean of 10 s: it reports whole seconds.", Unit::Cores, cpu),
        over_time("Memory", "Of the service.", Unit::Mebibytes, memory),
    ]
}

/// Nothing, if nothing was refused.
fn refused(run: &Run) -> Vec<Line> {
    let refused = series::counter(run, "refused");
    let has_some = refused.iter().flatten().any(|rate| *rate > 0.0);
    Vec::from_iter(has_some.then(|| line("refused", 2, refused)))
}

/// Up to the last request but one; horizontally, each step has a tenth of the requests of the one before.
pub(super) fn distribution(runs: &[(&str, Latencies)]) -> Chart {
    const STEPS: u32 = 40;
    let most = runs.iter().map(|(_, latencies)| latencies.count()).max().unwrap_or(0).max(10);
    let nines = whole(most).log10();
    let count = (0_u32..).take_while(|step| f64::from(*step) / f64::from(STEPS) <= nines);
    let at = Vec::from_iter(count.map(|step| f64::from(step) / f64::from(STEPS)));
    let lines = runs.iter().enumerate().map(|(number, (name, latencies))| {
        let value = |nines: &f64| {
            let is_known = latencies.count() > 0 && *nines <= whole(latencies.count()).log10();
            is_known.then(|| latencies.quantile(1.0 - 10_f64.powf(-nines)) * 1e3)
        };
        let name = if name.is_empty() { "latency" } else { name };
        Line { is_dashed: number > 0, ..line(name, number + 1, at.iter().map(value).collect()) }
    });
    Chart {
        title: "Distribution of latency",
        note: "All requests that were not refused. 99% were answered within the value at 99%.",
        unit: Unit::Milliseconds,
        is_log: true,
        is_distribution: true,
        lines: lines.collect(),
        at,
    }
}
