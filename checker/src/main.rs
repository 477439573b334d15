//! `user-service-checker`: judges a file of calls, and if wanted a file of events.
#![forbid(unsafe_code)]

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use user_service_checker::events::Readers;
use user_service_checker::{Bounds, History, Verdict, check, compare, page};

/// Judges a history: whether some order of its calls explains all answers.
///
/// Exits with 0 if so, 1 if not, 3 if it could not be decided, and 2 if there is nothing to judge.
#[derive(Parser)]
struct Arguments {
    /// The calls, one JSON object per line.
    history: PathBuf,
    /// What readers were told of changes, one JSON object per line.
    #[arg(long)]
    events: Option<PathBuf>,
    /// Where to write a page that shows each fault.
    #[arg(long)]
    html: Option<PathBuf>,
    /// The most configurations to look at per partition.
    #[arg(long, default_value_t = Bounds::default().states)]
    states: usize,
    /// The longest time per partition, in seconds.
    #[arg(long, default_value_t = Bounds::default().time.as_secs())]
    seconds: u64,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    let history: History = read(&arguments.history)?.parse()?;
    let report = check(&history, &Bounds { states: arguments.states, time: Duration::from_secs(arguments.seconds) });
    let mut text = report.text(&history);
    let mut is_violated = report.verdict() == Verdict::Violated;
    if let Some(events) = &arguments.events {
        let Readers(readers) = read(events)?.parse()?;
        let findings = compare(&history, &readers);
        is_violated |= !findings.is_empty();
        for finding in findings {
            writeln!(text, "{:?}: {}", finding.anomaly, finding.message)?;
        }
    }
    std::io::stdout().write_all(text.as_bytes())?;
    if let Some(html) = &arguments.html {
        std::fs::write(html, page(&history, &report)).map_err(|error| format!("{}: {error}", html.display()))?;
    }
    Ok(ExitCode::from(match report.verdict() {
        _ if is_violated => 1,
        Verdict::Undecided => 3,
        _ => 0,
    }))
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}
