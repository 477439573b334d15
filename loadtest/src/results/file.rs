//! The JSON file of a run.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::record::{Latencies, Operation, Recording};
use crate::service::{Identity, Scrape};

/// Changes when a file's meaning changes.
const FORMAT: u32 = 1;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    pub format: u32,
    pub program: String,
    pub options: Options,
    /// Unix time of the first measured moment, in seconds.
    pub began: f64,
    /// Whether somebody ended it early.
    pub is_cut_short: bool,
    /// How long it measured, in seconds.
    pub seconds: f64,
    pub service: Option<Identity>,
    /// Several, when runs were added up.
    pub generators: Vec<Generator>,
    /// The length of a window, in seconds. Requests are in the window in which they ended.
    pub window: f64,
    #[serde(flatten)]
    pub recording: Recording,
    /// What service and machine said meanwhile.
    pub ticks: Vec<Tick>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Options {
    /// The 8 digits of the run.
    pub run: String,
    pub url: String,
    pub scenario: String,
    /// `None` in a closed loop.
    pub rate: Option<String>,
    pub connections: u64,
    pub threads: u64,
    pub users: u64,
    pub warm_up: f64,
    pub duration: f64,
    pub requests: Option<u64>,
    pub timeout: f64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Generator {
    pub machine: Machine,
    /// Without its token.
    pub command_line: Vec<String>,
    /// Whether the service was on the same machine.
    pub is_local: bool,
    /// How much of a core its busiest thread used.
    pub busiest_thread: f64,
    /// How late free connections took what was due, by the generator's own delay.
    pub late: Latencies,
    /// How long what was due waited for a free connection.
    pub waited: Latencies,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Tick {
    /// Seconds since the run began.
    pub at: f64,
    /// CPU time of the generator so far, in seconds.
    pub generator_cpu: f64,
    /// Shares of the generator's machine since the tick before: at work, and taken by other machines.
    pub busy: Option<f64>,
    pub stolen: Option<f64>,
    pub scrape: Option<Scrape>,
}

impl Run {
    pub(crate) const FORMAT: u32 = FORMAT;

    /// The latencies by which the run is measured.
    pub(crate) fn latencies(&self) -> Latencies {
        let mut all = Latencies::precise();
        for (_, operation) in self.measured() {
            all.add(&operation.latencies);
        }
        all
    }

    /// The operations by which the run is measured: of `watch`, the deliveries.
    pub(crate) fn measured(&self) -> impl Iterator<Item = (&String, &Operation)> {
        let only_deliveries = self.options.scenario == "watch";
        self.recording.operations.iter().filter(move |(name, _)| !only_deliveries || *name == "delivery")
    }
}

pub(crate) fn read(path: &Path) -> Result<Run, String> {
    let wrong = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
    let text = fs::read_to_string(path).map_err(|error| wrong(&error))?;
    let run: Run = serde_json::from_str(&text).map_err(|error| wrong(&format_args!("is no run: {error}")))?;
    let is_sound = run.window > 0.0 && run.seconds > 0.0 && !run.generators.is_empty();
    match run.format {
        FORMAT if is_sound => Ok(run),
        FORMAT => Err(wrong(&"is no run: it has no time or no generator")),
        other => Err(wrong(&format_args!("is of format {other}, and this program reads {FORMAT}"))),
    }
}

pub(crate) fn write(path: &Path, run: &Run) -> Result<(), String> {
    let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = serde_json::to_string(run).map_err(|error| wrong(&error))?;
    fs::write(path, text).map_err(|error| wrong(&error))
}
