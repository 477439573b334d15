//! REST: routes, the two versions of the API, and what all routes share.
//!
//! Handlers turn a request into the words of a use case in [`crate::domain`], and its result into a response. Whatever goes
//! wrong is a [`failure::Failure`], which knows no version; how it looks is decided in one place, [`observe`].

mod authorize;
pub(crate) mod body;
mod cors;
mod docs;
mod failure;
mod health;
mod host;
mod listener;
mod live;
mod observe;
mod openapi;
mod path;
mod pieces;
mod problem;
mod query;
mod request_id;
mod resource;
mod routes;
mod security_headers;
mod texts;
mod timed;
mod v1;
mod v2;

use std::time::Duration;

pub use body::BodyLimits;
pub use cors::{Origins, cors};
pub use listener::{Application, listen};
pub use observe::Observe;
pub use openapi::openapi;
pub use routes::routes;

use crate::net::Tls;
use crate::telemetry::AccessLog;

/// How HTTP is served; every value is documented where it is configured.
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
    /// How long a request may take and be no problem to log.
    pub slow_request: Duration,
    /// Whether TLS is spoken; then, where something is served, with this certificate.
    pub over_tls: bool,
    pub tls: Option<Tls>,
}
