//! `user-service-loadtest`: puts load on the service, and reports what clients and service saw.
#![forbid(unsafe_code)]

mod arguments;
mod engine;
mod machine;
mod made_users;
mod record;
mod report;
mod requirement;
mod results;
mod run;
mod scenario;
mod service;
mod shape;
mod token;
mod wire;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use tokio::task::LocalSet;

use arguments::{Access, Arguments, Command, RunArguments};
use requirement::Requirement;
use results::Run;
use results::numbers::Numbers;
use scenario::Names;

/// A requirement is missed.
const MISSED: u8 = 1;
/// There is no result. The command line's own mistakes are clap's, with 2.
const NO_RESULT: u8 = 3;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        Some(Command::Compare { runs, report }) => compare(&runs, report.as_deref()),
        Some(Command::CleanUp { url, access, run }) => in_runtime(clean_up(&url, &access, run)),
        None => measure(arguments.run),
    };
    outcome.unwrap_or_else(|error| {
        let _ = writeln!(std::io::stderr(), "user-service-loadtest: {error}");
        ExitCode::from(NO_RESULT)
    })
}

/// Runs, or adds runs up; then writes the report, and judges.
fn measure(arguments: RunArguments) -> Result<ExitCode, String> {
    let (page, requirements) = (arguments.report.clone(), arguments.require.clone());
    if let Some(page) = &page {
        // Not after an hour's run.
        std::fs::write(page, "").map_err(|error| format!("{}: {error}", page.display()))?;
    }
    let run = if arguments.merge.is_empty() {
        in_runtime(run::run(arguments))?
    } else {
        let runs = arguments.merge.iter().map(|path| results::read(path)).collect::<Result<Vec<Run>, String>>()?;
        results::merge(runs)?
    };
    print(&results::summary(&run))?;
    if let Some(page) = &page {
        report::write(page, &report::of_run(&run))?;
        results::write(&page.with_extension("json"), &run)?;
    }
    judge(&run, &requirements)
}

fn judge(run: &Run, requirements: &[Requirement]) -> Result<ExitCode, String> {
    let numbers = Numbers::of(run);
    let missed = Vec::from_iter(requirements.iter().filter_map(|requirement| requirement.missed(&numbers)));
    for sentence in &missed {
        print(&format!("MISSED: {sentence}\n"))?;
    }
    Ok(if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(MISSED) })
}

fn compare(runs: &[PathBuf], page: Option<&Path>) -> Result<ExitCode, String> {
    let [one, other] = runs else { return Err("two runs are compared".to_owned()) };
    let (one, other) = (results::read(one)?, results::read(other)?);
    print(&report::comparison_as_text(&one, &other))?;
    if let Some(page) = page {
        report::write(page, &report::of_comparison(&one, &other))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn clean_up(url: &url::Url, access: &Access, run: Names) -> Result<ExitCode, String> {
    let client = made_users::client(url.as_str(), &token::bearer(access, Duration::ZERO)?)?;
    let count = made_users::delete(&client, run).await?;
    print(&format!("deleted the {count} users of run {run}\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn in_runtime<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    LocalSet::new().block_on(&runtime.map_err(|error| error.to_string())?, work)
}

/// A reader that has closed its end has read enough, which is no error.
fn print(text: &str) -> Result<(), String> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.to_string()),
        _ => Ok(()),
    }
}
