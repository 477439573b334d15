use std::time::Duration;

use crate::net::Tls;
use crate::telemetry::AccessLog;

/// How gRPC is served. `config` documents every value.
#[derive(Clone, Debug)]
pub struct Settings {
    pub host: String,
    pub port: u16,
    /// Concurrent calls per connection.
    pub max_streams: u32,
    /// Concurrent calls of all connections together, beyond the few that every connection may always have.
    pub max_calls: usize,
    pub max_head_bytes: u32,
    pub max_message_bytes: usize,
    /// The timeout for establishing a connection.
    pub head_timeout: Duration,
    /// How long a client may leave no room for what it is sent.
    pub response_timeout: Duration,
    /// The timeout of calls without a deadline.
    pub call_timeout: Duration,
    /// How long a connection may have no calls.
    pub keep_alive: Duration,
    /// How long a connection may be silent before it gets a ping.
    pub ping_interval: Duration,
    pub max_connection_age: Duration,
    pub access_log: AccessLog,
    /// The duration from which the access log treats a call as slow.
    pub slow_request: Duration,
    /// Whether the metadata of every answer says where the time went, and not only of those whose callers ask.
    pub server_timing: bool,
    pub tls: Option<Tls>,
}
