//! Asks a running service whether it is healthy, for container engines that have no HTTP client at hand.

use std::time::Duration;

use crate::http::Settings;

const PATIENCE: Duration = Duration::from_secs(2);

/// Asks `/health` of the service with these settings.
///
/// # Errors
/// When it does not answer with success in time.
pub fn healthcheck(settings: &Settings) -> Result<(), ureq::Error> {
    // A service that listens everywhere listens here too.
    let host = match settings.host.as_str() {
        "0.0.0.0" => "127.0.0.1",
        "::" | "[::]" => "::1",
        host => host,
    };
    // In a URL an IPv6 address stands in brackets.
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
    let agent = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).proxy(None).build().new_agent();
    agent.get(format!("http://{host}:{}/health", settings.port)).call().map(drop)
}
