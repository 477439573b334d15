//! A line for a request, if that is wanted.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use log::Level;

use crate::metrics::method_label;

/// Problems told in a second, at most: an overload has thousands, and to write them all would make it worse.
const MAX_PROBLEMS: NonZeroU32 = NonZeroU32::MIN.saturating_add(99);

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
    problems: Arc<DefaultDirectRateLimiter>,
    untold: Arc<AtomicU64>,
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
        let problems = Arc::new(RateLimiter::direct(Quota::per_second(MAX_PROBLEMS)));
        Self { which, slow, problems, untold: Arc::default() }
    }

    pub(super) fn note(&self, answered: &Answered<'_>) {
        let is_failure = answered.status.is_server_error() && answered.code.is_some();
        let is_problem = is_failure || answered.took >= self.slow;
        match self.which {
            AccessLog::All => write(answered, if is_problem { Level::Warn } else { Level::Info }, 0),
            AccessLog::Problems if is_problem => self.note_problem(answered),
            AccessLog::Problems | AccessLog::Off => {}
        }
    }

    fn note_problem(&self, answered: &Answered<'_>) {
        if self.problems.check().is_ok() {
            write(answered, Level::Warn, self.untold.swap(0, Ordering::Relaxed));
        } else {
            self.untold.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn write(answered: &Answered<'_>, level: Level, untold: u64) {
    let Answered { route, status, took, .. } = *answered;
    let (method, status) = (method_label(answered.method), status.as_u16());
    let code = answered.code.unwrap_or("-");
    let duration_ms = took.as_secs_f64() * 1000.0;
    let more = if untold == 0 { String::new() } else { format!("; and {untold} more problems before it") };
    log::log!(level, method, route, status, code, duration_ms;
        "{method} {route} {status} {code} {duration_ms:.1} ms{more}");
}
