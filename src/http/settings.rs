use std::time::Duration;

use super::connection::ConnectionSettings;
use super::extract::BodyLimits;
use super::middleware::{ObserveSettings, Origins};
use crate::net::Tls;
use crate::telemetry::AccessLog;

/// How HTTP is served. `config` and its document describe each value.
#[derive(Clone, Debug)]
pub struct Settings {
    pub host: String,
    pub port: u16,
    pub workers: usize,
    pub max_connections: usize,
    pub max_head_bytes: usize,
    pub max_body_bytes: usize,
    pub head_timeout: Duration,
    pub body_timeout: Duration,
    pub response_timeout: Duration,
    pub keep_alive: Duration,
    pub origins: Origins,
    pub access_log: AccessLog,
    pub slow_request: Duration,
    pub server_timing: bool,
    /// Whether the service speaks TLS. Commands that do not serve know this without the certificate.
    pub over_tls: bool,
    pub tls: Option<Tls>,
}

impl Settings {
    #[must_use]
    pub fn connection(&self) -> ConnectionSettings {
        ConnectionSettings {
            host: self.host.clone(),
            port: self.port,
            max_head_bytes: self.max_head_bytes,
            head_timeout: self.head_timeout,
            response_timeout: self.response_timeout,
            keep_alive: self.keep_alive,
            tls: self.tls.clone(),
        }
    }

    #[must_use]
    pub const fn observe(&self) -> ObserveSettings {
        ObserveSettings {
            max_head_bytes: self.max_head_bytes,
            over_tls: self.over_tls,
            access_log: self.access_log,
            slow_request: self.slow_request,
            server_timing: self.server_timing,
        }
    }

    #[must_use]
    pub const fn body_limits(&self) -> BodyLimits {
        BodyLimits { max_bytes: self.max_body_bytes, timeout: self.body_timeout }
    }
}
