use std::time::Duration;

use crate::net::Tls;

/// What a listener needs to know of its connections.
#[derive(Clone, Debug)]
pub struct ConnectionSettings {
    pub host: String,
    pub port: u16,
    /// The largest head of a request, in bytes.
    pub max_head_bytes: usize,
    /// How long a head may take to arrive.
    pub head_timeout: Duration,
    /// How long a client may take to read what is buffered for it.
    pub response_timeout: Duration,
    /// How long a connection may lie idle between two requests.
    pub keep_alive: Duration,
    /// The certificate, if the listener speaks TLS.
    pub tls: Option<Tls>,
}
