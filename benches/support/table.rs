use std::time::Duration;

use super::client::Seen;

/// Requests per second, and the latency of a request.
///
/// All requests count, including those of the warm-up, which begins with a single one. So very few meet a cold server.
pub(super) struct Table {
    name: String,
    rows: Vec<Row>,
}

struct Row {
    name: String,
    rate: f64,
    p50: Duration,
    p99: Duration,
}

impl Table {
    pub(super) const fn new(name: String) -> Self {
        Self { name, rows: Vec::new() }
    }

    pub(super) fn add(&mut self, name: String, Seen { busy, mut latencies }: Seen) {
        // `cargo bench -- --test` sends only one request.
        if latencies.len() < 100 {
            return;
        }
        latencies.sort_unstable();
        let percentile = |percent| latencies.get(latencies.len() * percent / 100).copied().expect("a request");
        let requests = u32::try_from(latencies.len()).expect("a number of requests");
        let rate = f64::from(requests) / busy.as_secs_f64();
        self.rows.push(Row { name, rate, p50: percentile(50), p99: percentile(99) });
    }

    /// Prints nothing if the command line filtered out all cases.
    pub(super) fn print(&self) {
        if self.rows.is_empty() {
            return;
        }
        println!("{:<40} {:>10} {:>10} {:>10}", self.name, "requests/s", "p50", "p99");
        for Row { name, rate, p50, p99 } in &self.rows {
            println!("    {name:<36} {rate:>10.0} {:>10} {:>10}", milliseconds(*p50), milliseconds(*p99));
        }
        println!();
    }
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1000.0)
}
