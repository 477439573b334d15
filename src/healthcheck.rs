//! Asks a running service whether it is healthy, for container engines that have no HTTP client at hand.

use std::time::Duration;

use ureq::Agent;
use ureq::tls::TlsConfig;

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
    // The certificate is for the service's name, not for where it is asked here.
    let tls = TlsConfig::builder().disable_verification(true).build();
    let agent = Agent::config_builder().timeout_global(Some(PATIENCE)).proxy(None).tls_config(tls).build().new_agent();
    let scheme = if settings.over_tls { "https" } else { "http" };
    agent.get(format!("{scheme}://{host}:{}/health", settings.port)).call().map(drop)
}
