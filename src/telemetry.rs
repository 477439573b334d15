//! Logs: the `log` facade to `env_logger`, on stderr.

use std::io::Write as _;

use env_logger::Target;
use log::LevelFilter;
use serde::Serialize;

use crate::users::Timestamp;

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// Which lines are written, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// In `env_logger`'s syntax, such as `info` or `warn,user_service=debug`.
    pub level: String,
    pub format: LogFormat,
}

/// Whether the text is in `env_logger`'s filter syntax.
#[must_use]
pub fn is_log_level(text: &str) -> bool {
    env_filter::Builder::new().try_parse(text).is_ok()
}

/// Starts logging. Does nothing when it was started before.
pub fn start(settings: &Settings) {
    let mut builder = env_logger::Builder::new();
    // It tells of each malformed request: a stranger could fill the log.
    builder.filter_module("actix_http::h1::dispatcher", LevelFilter::Off);
    builder.parse_filters(&settings.level).target(Target::Stderr).format_timestamp_millis();
    if settings.format == LogFormat::Json {
        builder.format(|out, record| {
            let line = Line {
                timestamp: Timestamp::now().to_string(),
                level: record.level().as_str(),
                target: record.target(),
                message: record.args().to_string(),
            };
            serde_json::to_writer(&mut *out, &line)?;
            writeln!(out)
        });
    }
    // A second start, as tests may do, keeps the first.
    let _ = builder.try_init();
}

#[derive(Serialize)]
struct Line<'a> {
    timestamp: String,
    level: &'static str,
    target: &'a str,
    message: String,
}
