//! What somebody at a terminal sees while a run goes on. Elsewhere nothing is shown.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::record::Live;
use crate::scenario::Names;

pub(super) struct Progress {
    bar: ProgressBar,
    begun: Instant,
}

impl Progress {
    pub(super) fn of_users(count: u64, names: Names) -> Self {
        if count > 0 {
            say(&format!("run {names} makes {count} users"));
        }
        Self::new(ProgressBar::new(count), "{bar:30} {pos} of {len} users")
    }

    pub(super) fn of_run(duration: Duration) -> Self {
        Self::new(ProgressBar::new(duration.as_secs()), "{bar:30} {pos} of {len} s   {msg}")
    }

    fn new(bar: ProgressBar, template: &str) -> Self {
        // The templates are valid; with another, indicatif's own would do.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self { bar, begun: Instant::now() }
    }

    pub(super) fn advance(&self) {
        self.bar.inc(1);
    }

    /// Shows the rate since the last time, and the latencies of the windows that ended meanwhile.
    pub(super) fn show(&self, live: &Live, rate: f64) {
        self.bar.set_position(self.begun.elapsed().as_secs());
        let (_, failed) = live.counts();
        let mut message = format!("{rate:.0}/s");
        if let Some(latest) = live.take() {
            let at = |quantile: f64| latest.quantile(quantile) * 1e3;
            let _ = write!(message, "   p50 {:.2} ms   p99 {:.2} ms", at(0.5), at(0.99));
        }
        self.bar.set_message(format!("{message}   {failed} failed"));
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

/// A line for somebody who waits, on stderr: results are on stdout.
pub(super) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
