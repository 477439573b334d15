//! The access log: one line per request, for all requests or for those that fail or are slow.

use std::time::Duration;

use log::Level;
use log::kv::Value;

use super::Throttle;

/// The target of the lines, for `LOG_LEVEL`.
const TARGET: &str = concat!(env!("CARGO_CRATE_NAME"), "::access_log");

/// Which requests are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLog {
    All,
    /// Requests that fail with a status of 500 or more, and slow ones. Not failures of `/ready`.
    Problems,
    Off,
}

impl AccessLog {
    /// Parses a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "all" => Some(Self::All),
            "problems" => Some(Self::Problems),
            "off" => Some(Self::Off),
            _ => None,
        }
    }
}

/// Writes the lines. Clones share the limit of lines.
#[derive(Clone)]
pub struct AccessLogger {
    which: AccessLog,
    slow: Duration,
    problems: Throttle,
}

/// How a request was answered.
pub struct Answered<'a> {
    /// The method of HTTP.
    pub method: &'static str,
    /// The pattern of the route, never the path, which may contain an address. For gRPC the service and its method.
    pub route: &'static str,
    /// The number of an HTTP status, or the name of a gRPC code.
    pub status: Value<'a>,
    /// Whether the service is at fault.
    pub is_failure: bool,
    /// The code of the failure, if it failed.
    pub code: Option<&'static str>,
    pub took: Duration,
    /// Whether this is a stream, whose duration its client decides, so that it is never slow.
    pub streams: bool,
}

impl AccessLogger {
    /// Requests that take at least `slow` count as problems.
    #[must_use]
    pub fn new(which: AccessLog, slow: Duration) -> Self {
        Self { which, slow, problems: Throttle::default() }
    }

    /// Logs a request, if such requests are logged.
    pub fn note(&self, answered: &Answered<'_>) {
        let is_slow = !answered.streams && answered.took >= self.slow;
        let is_problem = answered.is_failure || is_slow;
        match self.which {
            AccessLog::All => write(answered, if is_problem { Level::Warn } else { Level::Info }, ""),
            AccessLog::Problems if is_problem => {
                if let Some(more) = self.problems.admit() {
                    write(answered, Level::Warn, &more);
                }
            }
            AccessLog::Problems | AccessLog::Off => {}
        }
    }
}

fn write(answered: &Answered<'_>, level: Level, more: &str) {
    let Answered { method, route, ref status, took, .. } = *answered;
    let code = answered.code.unwrap_or("-");
    let duration_ms = took.as_secs_f64() * 1000.0;
    log::log!(target: TARGET, level, method, route, status, code, duration_ms;
        "{method} {route} {status} {code} {duration_ms:.1} ms{more}");
}
