//! What the service tells of single events: logs and traces. Metrics, which tell of all of them together, are in [`crate::metrics`].

mod access_log;
mod context;
mod logs;
mod stderr;
mod third_party;
mod throttle;
mod traces;

use tracing_appender::non_blocking::WorkerGuard;

pub use access_log::{AccessLog, AccessLogger, Answered};
pub use context::{Context, RequestId, TracedSpan};
pub use logs::{LogFormat, is_log_level};
pub use stderr::capture_stderr;
pub use throttle::Throttle;
pub use traces::{Arrived, BatchSpan, RequestTrace, Sampler, Settings as TraceSettings, Traces, TracesError, use_case};

/// What is told, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which lines are logged, in `env_logger`'s syntax, such as `info` or `warn,user_service=debug`.
    pub level: String,
    pub format: LogFormat,
    /// Where traces go, if they go anywhere.
    pub traces: Option<TraceSettings>,
}

/// Starts logging. What this returns writes what is left when it is dropped.
pub fn start(settings: &Settings) -> WorkerGuard {
    logs::start(&settings.level, settings.format)
}
