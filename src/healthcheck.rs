//! Asks a running service whether it is healthy, for container engines without an HTTP client.

use std::time::Duration;

use ureq::Agent;
use ureq::tls::TlsConfig;

use crate::http::Settings;

const TIMEOUT: Duration = Duration::from_secs(2);

/// Requests `/health` of the service with these settings.
///
/// # Errors
/// When it does not respond with success in time.
pub fn healthcheck(settings: &Settings) -> Result<(), ureq::Error> {
    // A service that listens on all addresses listens on loopback too.
    let host = match settings.host.as_str() {
        "0.0.0.0" => "127.0.0.1",
        "::" | "[::]" => "::1",
        host => host,
    };
    // A URL has brackets around an IPv6 address.
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
    // The certificate names the service, not loopback.
    let tls = TlsConfig::builder().disable_verification(true).build();
    let agent = Agent::config_builder().timeout_global(Some(TIMEOUT)).proxy(None).tls_config(tls).build().new_agent();
    let scheme = if settings.over_tls { "https" } else { "http" };
    agent.get(format!("{scheme}://{host}:{}/health", settings.port)).call().map(drop)
}
