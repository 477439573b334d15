//! Checks the health of a running service, for container images without an HTTP client.

use std::time::Duration;

use ureq::Agent;
use ureq::tls::TlsConfig;

use crate::http::Settings;

const TIMEOUT: Duration = Duration::from_secs(2);

/// Requests `/health` from the service that runs with these settings.
///
/// # Errors
/// When the service does not answer in time, or not with success.
pub fn healthcheck(settings: &Settings) -> Result<(), ureq::Error> {
    // A service that listens on all addresses listens on loopback, too.
    let host = match settings.host.as_str() {
        "0.0.0.0" => "127.0.0.1",
        "::" | "[::]" => "::1",
        host => host,
    };
    // A URL has an IPv6 address in brackets.
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
    // The certificate is for the service's name, and not for this address.
    let tls = TlsConfig::builder().disable_verification(true).build();
    let agent = Agent::config_builder().timeout_global(Some(TIMEOUT)).proxy(None).tls_config(tls).build().new_agent();
    let scheme = if settings.over_tls { "https" } else { "http" };
    agent.get(format!("{scheme}://{host}:{}/health", settings.port)).call().map(drop)
}
