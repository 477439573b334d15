//! A line for a request, if that is wanted.

use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use log::Level;

use crate::metrics::method_label;
use crate::telemetry::Throttle;

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
pub(super) struct AccessLogger {
    which: AccessLog,
    slow: Duration,
    problems: Throttle,
}

/// What a request was answered.
pub(super) struct Answered<'a> {
    pub(super) method: &'a Method,
    /// The pattern of the route, never the path: that may hold an address.
    pub(super) route: &'static str,
    pub(super) status: StatusCode,
    /// Of the failure, if it was one.
    pub(super) code: Option<&'static str>,
    pub(super) took: Duration,
}

impl AccessLogger {
    /// Requests that take as long as `slow` or longer are problems.
    pub(super) fn new(which: AccessLog, slow: Duration) -> Self {
        Self { which, slow, problems: Throttle::default() }
    }

    pub(super) fn note(&self, answered: &Answered<'_>) {
        let is_failure = answered.status.is_server_error() && answered.code.is_some();
        let is_problem = is_failure || answered.took >= self.slow;
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
    let Answered { route, status, took, .. } = *answered;
    let (method, status) = (method_label(answered.method), status.as_u16());
    let code = answered.code.unwrap_or("-");
    let duration_ms = took.as_secs_f64() * 1000.0;
    log::log!(level, method, route, status, code, duration_ms;
        "{method} {route} {status} {code} {duration_ms:.1} ms{more}");
}
