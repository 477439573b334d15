//! What the service tells of single events: logs and traces. Metrics, which tell of all of them together, are in [`crate::metrics`].

mod context;
mod logs;
mod traces;

pub use context::{Context, RequestId};
pub use logs::{LogFormat, is_log_level};
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

/// Starts logging. Does nothing when it was started before.
pub fn start(settings: &Settings) {
    logs::start(&settings.level, settings.format);
}
