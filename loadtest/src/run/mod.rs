//! A run, from its users to its results.

mod monitor;
mod progress;
mod readers;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::{AUTHORIZATION, HOST, HeaderValue};
use url::Url;

use self::progress::Progress;
use self::readers::Readers;
use crate::arguments::RunArguments;
use crate::engine::{self, Load, Plan, ThreadReport};
use crate::machine::Machine;
use crate::record::{Latencies, Live, Recording};
use crate::results::{Generator, Options, Run};
use crate::scenario::{Names, Scenario, Users};
use crate::service::Scraper;
use crate::shape::Shape;
use crate::wire::{HttpConnection, Target};
use crate::{made_users, token};

/// A report draws no more windows than this.
const MOST_WINDOWS: u64 = 600;
const GRPC_PORT: u16 = 50051;
/// Updates a second of `watch`, unless --rate says otherwise.
const WATCHED_RATE: f64 = 50.0;

/// What the command line asks for, checked.
struct Wanted {
    url: Url,
    scenario: Scenario,
    arguments: RunArguments,
    bearer: String,
}

/// Makes users, puts load on the service, and cleans up.
pub(crate) async fn run(arguments: RunArguments) -> Result<Run, String> {
    let (Some(url), Some(scenario)) = (arguments.url.clone(), arguments.scenario) else {
        return Err("--url and --scenario are needed".to_owned());
    };
    if arguments.ids.is_some() && !scenario.only_reads() {
        return Err(format!("--ids is for scenarios that only read; {} changes users", scenario.name()));
    }
    if arguments.duration.is_zero() || arguments.timeout.is_zero() {
        return Err("--duration and --timeout must not be zero".to_owned());
    }
    let bearer = token::bearer(&arguments.access, arguments.warm_up + arguments.duration)?;
    let wanted = Wanted { url, scenario, arguments, bearer };
    let target = Target::resolve(&wanted.url).await?;
    probe(&target, &wanted.bearer).await?;
    let names = Names::random();
    let run = load(&wanted, target, names).await;
    if wanted.arguments.clean_up {
        let client = made_users::client(wanted.url.as_str(), &wanted.bearer)?;
        let count = made_users::delete(&client, names).await?;
        progress::say(&format!("deleted the {count} users of run {names}"));
    }
    run
}

/// Refuses a run that could only fail.
async fn probe(target: &Target, bearer: &str) -> Result<(), String> {
    let mut request = Request::new(Full::from(Bytes::new()));
    *request.uri_mut() = format!("{}/api/v2/users?page_size=1", target.base).parse().unwrap_or_default();
    request.headers_mut().insert(HOST, target.host.clone());
    request.headers_mut().insert(AUTHORIZATION, authorization(bearer)?);
    let answer =
        tokio::time::timeout(Duration::from_secs(10), HttpConnection::new(target.clone()).fetch(request)).await;
    let answer = answer.map_err(|_| "the service does not answer within 10 s".to_owned())?;
    let answer = answer.map_err(|error| format!("the service cannot be reached: {error}"))?;
    if answer.status.is_success() {
        return Ok(());
    }
    Err(format!("the service answers {}: {}", answer.status, String::from_utf8_lossy(&answer.body)))
}

async fn load(wanted: &Wanted, target: Target, names: Names) -> Result<Run, String> {
    let metrics_url = wanted.arguments.metrics_url.clone();
    let metrics_url = metrics_url.unwrap_or_else(|| below(&wanted.url, "metrics"));
    let mut scraper = Scraper::new(&metrics_url).await?;
    let service = scraper.identity().await;
    let users = Arc::new(users(wanted, names).await?);
    let readers = match wanted.scenario {
        Scenario::Watch => Some(Readers::connect(wanted, names).await?),
        _ => None,
    };
    let plan = Arc::new(plan(wanted, target, names, users)?);
    let live = Arc::new(Live::default());
    let running = engine::start(&plan, &live)?;
    let start = running.start;
    let began = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?
        + start.zero.saturating_duration_since(std::time::Instant::now());
    if let Some(readers) = &readers {
        readers.begin(start, plan.window, &live);
    }
    let progress = Progress::of_run(plan.warm_up + plan.duration);
    let ticks = monitor::watch_over(&running, &plan, &live, &mut scraper, &progress).await;
    let reports = running.reports()?;
    let seconds = if plan.is_stopped() || plan.requests.is_some() {
        start.zero.elapsed().min(plan.duration).as_secs_f64()
    } else {
        plan.duration.as_secs_f64()
    };
    progress.end();
    if let Some(fault) = reports.iter().find_map(|report| report.fault.clone()) {
        return Err(fault);
    }
    let generator = generator(&plan, &reports);
    let mut recording = Recording::default();
    for report in reports {
        recording.add(report.recording, 0);
    }
    if let Some(readers) = readers {
        recording.add(readers.finish(&recording, plan.timeout).await?, 0);
    }
    Ok(Run {
        format: Run::FORMAT,
        program: format!("user-service-loadtest {} ({})", env!("CARGO_PKG_VERSION"), env!("LOADTEST_COMMIT")),
        options: options(wanted, &plan),
        began: began.as_secs_f64(),
        is_cut_short: plan.is_stopped(),
        seconds: seconds.max(0.001),
        service,
        generators: vec![generator],
        window: plan.window.as_secs_f64(),
        recording,
        ticks,
    })
}

/// The users that it makes, or those that are there.
async fn users(wanted: &Wanted, names: Names) -> Result<Users, String> {
    if let Some(ids) = &wanted.arguments.ids {
        return Ok(Users::There(ids.clone()));
    }
    let count = wanted.arguments.seed.unwrap_or_else(|| wanted.scenario.users());
    if count == 0 && !matches!(wanted.scenario, Scenario::Create | Scenario::Page) {
        return Err(format!("{} needs users: --seed must not be 0", wanted.scenario.name()));
    }
    let client = made_users::client(wanted.url.as_str(), &wanted.bearer)?;
    let progress = Progress::of_users(count, names);
    let made = made_users::make(&client, names, count, || progress.advance()).await;
    progress.end();
    made.map(Users::Made)
}

fn plan(wanted: &Wanted, target: Target, names: Names, users: Arc<Users>) -> Result<Plan, String> {
    let arguments = &wanted.arguments;
    let shape = arguments.rate.clone();
    let shape = shape.or_else(|| (wanted.scenario == Scenario::Watch).then_some(Shape::Constant(WATCHED_RATE)));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let connections = arguments.connections as usize;
    let threads = arguments.threads.map_or_else(|| cores.div_ceil(2), usize::from);
    let windows = arguments.duration.as_secs().div_ceil(MOST_WINDOWS).max(1);
    Ok(Plan {
        grpc_url: grpc_url(wanted)?,
        authorization: authorization(&wanted.bearer)?,
        scenario: wanted.scenario,
        names,
        users,
        load: match &shape {
            Some(shape) => Load::Open(shape.schedule(arguments.warm_up, arguments.duration)),
            None => Load::Closed,
        },
        // A few updates a second need no more than one.
        threads: if wanted.scenario == Scenario::Watch { 1 } else { threads.min(connections) },
        connections,
        warm_up: arguments.warm_up,
        duration: arguments.duration,
        requests: arguments.requests,
        timeout: arguments.timeout,
        window: Duration::from_secs(windows),
        sampled: arguments.server_timing / 100.0,
        stop: AtomicBool::new(false),
        sent: AtomicU64::new(0),
        target,
    })
}

fn grpc_url(wanted: &Wanted) -> Result<Url, String> {
    if let Some(url) = &wanted.arguments.grpc_url {
        return Ok(url.clone());
    }
    let mut url = wanted.url.clone();
    url.set_port(Some(GRPC_PORT)).map_err(|()| format!("{url} cannot have a port"))?;
    url.set_path("/");
    Ok(url)
}

fn authorization(bearer: &str) -> Result<HeaderValue, String> {
    let mut value =
        HeaderValue::try_from(format!("Bearer {bearer}")).map_err(|_| "the token is no header".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

fn below(url: &Url, name: &str) -> Url {
    let path = format!("{}/{name}", url.path().trim_end_matches('/'));
    let mut url = url.clone();
    url.set_path(&path);
    url
}

fn options(wanted: &Wanted, plan: &Plan) -> Options {
    let shape = wanted.arguments.rate.as_ref().map(ToString::to_string);
    Options {
        run: plan.names.to_string(),
        url: wanted.url.to_string(),
        scenario: plan.scenario.name().to_owned(),
        rate: match plan.load {
            Load::Open(_) => Some(shape.unwrap_or_else(|| WATCHED_RATE.to_string())),
            Load::Closed => None,
        },
        connections: plan.connections as u64,
        threads: plan.threads as u64,
        users: plan.users.count(),
        warm_up: plan.warm_up.as_secs_f64(),
        duration: plan.duration.as_secs_f64(),
        requests: plan.requests,
        timeout: plan.timeout.as_secs_f64(),
    }
}

fn generator(plan: &Plan, reports: &[ThreadReport]) -> Generator {
    let (mut late, mut waited) = (Latencies::precise(), Latencies::precise());
    for report in reports {
        late.add(&report.late);
        waited.add(&report.waited);
    }
    Generator {
        machine: Machine::here(),
        command_line: without_token(std::env::args()),
        is_local: plan.target.is_local(),
        busiest_thread: reports.iter().map(|report| report.busy).fold(0.0, f64::max),
        late,
        waited,
    }
}

fn without_token(arguments: impl Iterator<Item = String>) -> Vec<String> {
    let mut is_token = false;
    let kept = arguments.map(|argument| {
        let hidden = std::mem::replace(&mut is_token, argument == "--token");
        if hidden || argument.starts_with("--token=") { "(the token)".to_owned() } else { argument }
    });
    kept.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_kept_without_its_token() {
        let line = ["load", "--token", "secret", "--url", "x", "--token=secret"].map(str::to_owned);
        let kept = without_token(line.into_iter());
        assert_eq!(kept, ["load", "--token", "(the token)", "--url", "x", "(the token)"]);
    }
}
