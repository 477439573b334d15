//! A line for a request, if that is wanted.

use std::time::Duration;

use log::Level;
use log::kv::Value;

use super::Throttle;

/// What the lines are known by to `LOG_LEVEL`.
const TARGET: &str = concat!(env!("CARGO_CRATE_NAME"), "::access_log");

/// Of which requests there is a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLog {
    All,
    /// Those that the service failed, with a status of 500 or more, and slow ones. Not what `/ready` answers.
    Problems,
    Off,
}

impl AccessLog {
    /// Parses its name.
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

/// Writes the lines. Clones share what they may write.
#[derive(Clone)]
pub struct AccessLogger {
    which: AccessLog,
    slow: Duration,
    problems: Throttle,
}

/// What a request was answered.
pub struct Answered<'a> {
    /// HTTP's.
    pub method: &'static str,
    /// The pattern of the route, never the path: that may hold an address. Of gRPC the service and its method.
    pub route: &'static str,
    /// HTTP's number, or gRPC's name.
    pub status: Value<'a>,
    /// Whether the service is to blame.
    pub is_failure: bool,
    /// Of the failure, if it was one.
    pub code: Option<&'static str>,
    pub took: Duration,
    /// Whether that says how long somebody wanted to listen, so that it cannot be too long.
    pub streams: bool,
}

impl AccessLogger {
    /// Requests that take as long as `slow` or longer are problems.
    #[must_use]
    pub fn new(which: AccessLog, slow: Duration) -> Self {
        Self { which, slow, problems: Throttle::default() }
    }

    /// Writes a line, if this request is one of those that have one.
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
