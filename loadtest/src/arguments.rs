//! The command line.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use url::Url;

use crate::requirement::Requirement;
use crate::scenario::{Names, Scenario};
use crate::shape::Shape;

const EXIT_CODES: &str = "Exit codes: 0, all is as required; 1, a requirement is missed; 2, the command line is wrong; 3, \
the run could not be made. docs/load-testing.md says how to measure honestly.";

/// Puts load on user-service, and reports what clients and service saw.
#[derive(Parser)]
#[command(version, after_help = EXIT_CODES, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub run: RunArguments,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Draw two runs over each other, and say whether they differ by more than their noise.
    Compare {
        /// The JSON files of two runs.
        #[arg(num_args = 2, required = true)]
        runs: Vec<PathBuf>,
        /// The page to write.
        #[arg(long, value_parser = page)]
        report: Option<PathBuf>,
    },
    /// Delete the users that a run has made, also one that was killed.
    CleanUp {
        /// The service, such as <http://127.0.0.1:3000>.
        #[arg(long, value_parser = service_url)]
        url: Url,
        #[command(flatten)]
        access: Access,
        /// Its 8 digits, as it printed them.
        #[arg(long)]
        run: Names,
    },
}

/// Who asks.
#[derive(Args)]
pub(crate) struct Access {
    /// A token with the scopes users:read and users:write. Without it, one is signed with the secret `JWT_SECRET`,
    /// a variable of the environment or of the file .env here.
    #[arg(long)]
    pub token: Option<String>,
    /// The claim iss of the token that is signed.
    #[arg(long, conflicts_with = "token")]
    pub issuer: Option<String>,
    /// The claim aud of the token that is signed.
    #[arg(long, conflicts_with = "token")]
    pub audience: Option<String>,
}

#[derive(Args)]
pub(crate) struct RunArguments {
    /// The service, such as <http://127.0.0.1:3000>.
    #[arg(long, value_parser = service_url, required_unless_present = "merge")]
    pub url: Option<Url>,
    #[arg(long, value_enum, required_unless_present = "merge")]
    pub scenario: Option<Scenario>,
    /// Open loop: requests a second, each due at a fixed time and its latency counted from then. Constant (5000), a ramp
    /// (100..5000), or steps (1000,2000,4000). Without it, a closed loop.
    #[arg(long)]
    pub rate: Option<Shape>,
    /// Connections; a closed loop keeps all of them busy, an open one uses as many as it needs.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub connections: u32,
    /// How long to measure.
    #[arg(long, default_value = "30s", value_parser = duration)]
    pub duration: Duration,
    /// End after so many requests, if that is earlier.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub requests: Option<u64>,
    /// How long the same load runs before, unmeasured.
    #[arg(long, default_value = "2s", value_parser = duration)]
    pub warm_up: Duration,
    /// Give a request up after this time. It has failed then, and its latency counts.
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub timeout: Duration,
    /// Threads that send; half of the cores by default.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,
    /// Users to make first, which are then read and updated; the scenario has a default. No others are changed.
    #[arg(long, conflicts_with = "ids")]
    pub seed: Option<u64>,
    /// Read the users with these ids, such as 1-50000, and make none. For scenarios that only read.
    #[arg(long, value_parser = ids)]
    pub ids: Option<RangeInclusive<i64>>,
    /// Delete all users that the run made, at its end.
    #[arg(long)]
    pub clean_up: bool,
    #[command(flatten)]
    pub access: Access,
    /// Where gRPC is, for grpc-read. By default the same host's port 50051.
    #[arg(long, value_parser = service_url)]
    pub grpc_url: Option<Url>,
    /// Where the service's metrics are, if not at /metrics of --url.
    #[arg(long, value_parser = service_url)]
    pub metrics_url: Option<Url>,
    /// The percentage of requests that ask the service where their time goes (Server-Timing).
    #[arg(long, default_value_t = 1.0, value_parser = percentage)]
    pub server_timing: f64,
    /// The page to write, such as report.html; beside it, report.json has all numbers.
    #[arg(long, value_parser = page)]
    pub report: Option<PathBuf>,
    /// What must hold, such as 'p99<20ms' 'errors<0.1%' 'rate>=4900' 'late<1ms'.
    #[arg(long, num_args = 1..)]
    pub require: Vec<Requirement>,
    /// Instead of a run: add up runs that went on at the same time, by their JSON files.
    #[arg(long, num_args = 2.., conflicts_with_all = ["url", "scenario", "rate"])]
    pub merge: Vec<PathBuf>,
}

/// Far beyond this, the report would have no room for it.
const LONGEST: Duration = Duration::from_hours(168);

fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if duration > LONGEST { Err("is longer than a week".to_owned()) } else { Ok(duration) }
}

fn service_url(text: &str) -> Result<Url, String> {
    let is_sound = |url: &Url| {
        let is_plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        ["http", "https"].contains(&url.scheme()) && url.has_host() && is_plain
    };
    let url = Url::parse(text).ok().filter(is_sound);
    url.ok_or_else(|| "expected http:// or https:// and a host, without a user or a query".to_owned())
}

fn percentage(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.0..=100.0).contains(number));
    number.ok_or_else(|| "expected a percentage from 0 to 100".to_owned())
}

fn ids(text: &str) -> Result<RangeInclusive<i64>, String> {
    let parsed = text.split_once('-').and_then(|(from, to)| Some(from.parse().ok()?..=to.parse().ok()?));
    let parsed = parsed.filter(|ids| *ids.start() >= 1 && ids.start() <= ids.end());
    parsed.ok_or_else(|| "expected two ids, such as 1-50000".to_owned())
}

fn page(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.extension().is_some_and(|extension| extension == "html") {
        Ok(path)
    } else {
        Err("expected a name that ends with .html".to_owned())
    }
}
