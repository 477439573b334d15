//! The log: the `log` facade to `env_logger`, on stderr. A line that is written for a request contains the request's
//! id.

use std::collections::HashSet;
use std::io::{self, IsTerminal as _, Write as _};

use env_logger::fmt::Formatter;
use env_logger::{Target, WriteStyle};
use log::kv::{Key, Value, VisitSource};
use log::{LevelFilter, Record};
use serde::Serialize;
use serde_json::Map;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};

use super::Context;
use super::stderr;
use super::third_party::ThrottledLogger;

/// The format of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line, for programs.
    Json,
}

/// Whether the text is a valid filter of `env_logger` that sets a level for this crate. `env_logger` takes an unknown
/// word for the name of a crate, and would then log nothing else.
#[must_use]
pub fn is_log_level(text: &str) -> bool {
    let (list, pattern) = text.split_once('/').map_or((text, None), |(list, pattern)| (list, Some(pattern)));
    let Some(targets) = list.split(',').map(|directive| target(directive.trim())).collect::<Option<Vec<_>>>() else {
        return false;
    };
    let are_distinct = HashSet::<_>::from_iter(&targets).len() == targets.len();
    // `env_logger` takes a level after a slash for text that a line must contain.
    let is_pattern = pattern.is_none_or(|pattern| !pattern.is_empty() && !is_level(pattern));
    // A filter for a module alone is not enough: there may be no such module.
    let is_ours = targets.iter().any(|target| [EVERYTHING, env!("CARGO_CRATE_NAME")].contains(target));
    are_distinct && is_pattern && is_ours && env_filter::Builder::new().try_parse(text).is_ok()
}

const EVERYTHING: &str = "";

/// The target of a directive. `None` if the directive is invalid.
fn target(directive: &str) -> Option<&str> {
    match directive.split_once('=') {
        Some((target, level)) => (is_path(target) && is_level(level.trim())).then_some(target),
        None if is_level(directive) => Some(EVERYTHING),
        // A target without a level, which enables all of its lines. The name of another crate could be a misspelt
        // level.
        None => (is_path(directive) && is_ours(directive)).then_some(directive),
    }
}

fn is_level(text: &str) -> bool {
    text.parse::<LevelFilter>().is_ok()
}

/// Whether the target is a path in Rust, with `_` where a package's name has `-`.
fn is_path(target: &str) -> bool {
    let is_name = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    target.split("::").all(is_name)
}

fn is_ours(target: &str) -> bool {
    target.split("::").next() == Some(env!("CARGO_CRATE_NAME"))
}

/// How many lines may wait for a slow reader of stderr. More are dropped: a reader that never reads must not block the
/// service.
const MAX_WAITING: usize = 10_000;

/// Starts logging. The guard writes waiting lines when it is dropped. A second start, as in tests, keeps the first
/// logger.
pub(super) fn start(level: &str, format: LogFormat) -> WorkerGuard {
    let (writer, guard) =
        NonBlockingBuilder::default().buffered_lines_limit(MAX_WAITING).thread_name("log").finish(stderr::of_the_log());
    let style = if io::stderr().is_terminal() { WriteStyle::Auto } else { WriteStyle::Never };
    let mut builder = env_logger::Builder::new();
    // actix-http logs every malformed request, so an unauthenticated client could fill the log.
    builder.filter_module("actix_http::h1::dispatcher", LevelFilter::Off);
    // lapin logs every event that no queue is bound for, with its data. The relay logs all else once.
    builder.filter_module("lapin", LevelFilter::Off);
    // rustls-platform-verifier logs a failure at every attempt to connect. Those who connect, to fetch keys and to
    // relay events, log it too.
    builder.filter_module("rustls_platform_verifier", LevelFilter::Off);
    // These lines are names of other crates' spans, which are traced instead.
    builder.filter_module("tracing::span", LevelFilter::Off);
    builder.parse_filters(level).target(Target::Pipe(Box::new(writer))).write_style(style).format(match format {
        LogFormat::Text => write_text,
        LogFormat::Json => write_json,
    });
    let logger = builder.build();
    let filter = logger.filter();
    if log::set_boxed_logger(Box::new(ThrottledLogger::new(logger))).is_ok() {
        log::set_max_level(filter);
    }
    // Without the hook, a panic would bypass the log, in a format that no program reads.
    std::panic::set_hook(Box::new(|panic| log::error!("{panic}")));
    guard
}

fn write_text(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let (timestamp, style) = (out.timestamp_millis(), out.default_level_style(record.level()));
    let (level, target) = (record.level(), record.target());
    write!(out, "[{timestamp} {style}{level:<5}{style:#} {target}] {}", record.args())?;
    if let Some(Context { request_id, trace, .. }) = Context::current() {
        write!(out, " request_id={request_id}")?;
        if let Some(span) = trace {
            write!(out, " trace_id={}", span.trace_id)?;
        }
    }
    writeln!(out)
}

#[derive(Serialize)]
struct Line<'a> {
    timestamp: String,
    level: &'static str,
    target: &'a str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    #[serde(flatten)]
    fields: Map<String, serde_json::Value>,
}

fn write_json(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let mut fields = Fields(Map::new());
    record.key_values().visit(&mut fields).map_err(io::Error::other)?;
    let context = Context::current();
    let line = Line {
        timestamp: out.timestamp_micros().to_string(),
        level: record.level().as_str(),
        target: record.target(),
        message: record.args().to_string(),
        request_id: context.map(|context| context.request_id.to_string()),
        trace_id: context.and_then(|context| context.trace).map(|span| span.trace_id.to_string()),
        fields: fields.0,
    };
    serde_json::to_writer(&mut *out, &line)?;
    writeln!(out)
}

/// The fields of a line besides its message.
struct Fields(Map<String, serde_json::Value>);

impl VisitSource<'_> for Fields {
    fn visit_pair(&mut self, key: Key<'_>, value: Value<'_>) -> Result<(), log::kv::Error> {
        let value = match (value.to_u64(), value.to_f64()) {
            (Some(whole), _) => whole.into(),
            (None, Some(number)) => number.into(),
            (None, None) => value.to_string().into(),
        };
        self.0.insert(key.to_string(), value);
        Ok(())
    }
}
