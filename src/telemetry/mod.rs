//! Logs and traces. Metrics are in `metrics`.
//!
//! No function is passed a request only to log it. `telemetry::Context` belongs to a task, and travels to the actor
//! with the message; the log and the spans add it. No log line holds a path, a body or a token: a route's pattern, a
//! status and a code are enough. This module imports neither the domain nor the storage: everyone may log.
//!
//! A separate thread writes the log. `cli::run` waits for it at its end, for at most a second.

mod access_log;
mod context;
mod logs;
mod stderr;
mod third_party;
mod throttle;
mod timings;
mod traces;

use tracing_appender::non_blocking::WorkerGuard;

pub use access_log::{AccessLog, AccessLogger, Answered};
pub use context::{Context, RequestId, TracedSpan};
pub use logs::{LogFormat, is_log_level};
pub use stderr::capture_stderr;
pub use throttle::Throttle;
pub use timings::{Ran, asks_for_timing, collect_timings, note_look_up, note_ran, server_timing};
pub use traces::{Arrived, BatchSpan, RequestTrace, Sampler, Settings as TraceSettings, Traces, TracesError, use_case};

/// What is logged and traced, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which lines are logged, in `env_logger`'s syntax, such as `info` or `warn,user_service=debug`.
    pub level: String,
    pub format: LogFormat,
    /// How traces are exported, if they are.
    pub traces: Option<TraceSettings>,
}

/// Starts logging. Dropping the returned guard writes the lines that are left.
pub fn start(settings: &Settings) -> WorkerGuard {
    logs::start(&settings.level, settings.format)
}
