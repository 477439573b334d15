//! What the service tells of single events: logs. Metrics, which tell of all of them together, are in [`crate::metrics`].

mod context;
mod logs;

pub use context::{Context, RequestId, TraceParent};
pub use logs::{LogFormat, is_log_level};

/// What is told, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which lines are logged, in `env_logger`'s syntax, such as `info` or `warn,user_service=debug`.
    pub level: String,
    pub format: LogFormat,
}

/// Starts logging. Does nothing when it was started before.
pub fn start(settings: &Settings) {
    logs::start(&settings.level, settings.format);
}
