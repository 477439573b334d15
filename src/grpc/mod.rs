//! gRPC: the same use cases as over REST, for other services. proto/users/v1/users.proto is what they see.
//!
//! A call enters in [`observe`], which gives it its id, its deadline and its place in the metrics, and the gate lets it in;
//! [`methods`] is the list of them, each in a file of its own. Whatever goes wrong is a [`failure::Failure`]. Connections
//! are served by hyper on the workers that serve HTTP too, so that calls and requests share their batches' wake-ups.

mod batch_get_users;
mod body;
mod call_deadline;
mod codec;
mod connection;
mod create_user;
mod delete_user;
mod ending;
mod endpoint;
mod etag;
mod failure;
mod frames;
mod generated;
mod get_user;
mod head;
mod health;
mod list_users;
mod listener;
mod methods;
mod observe;
mod pacing;
mod reflection;
mod services;
mod stuck;
mod turns;
mod under_way;
mod update_user;
mod user;
mod watch_users;

use std::time::Duration;

pub use listener::listen;
pub use methods::Users;
pub use observe::Calls;

use crate::net::Tls;
use crate::telemetry::AccessLog;

/// How gRPC is served; every value is documented where it is configured.
#[derive(Clone, Debug)]
pub struct Settings {
    pub host: String,
    pub port: u16,
    /// Calls at once on one connection.
    pub max_streams: u32,
    /// Calls at once beyond the few that every connection has room for, on all connections together.
    pub max_calls: usize,
    pub max_head_bytes: u32,
    pub max_message_bytes: usize,
    /// How long a connection may take to begin.
    pub head_timeout: Duration,
    /// How long a client may take to make room for what it is sent.
    pub response_timeout: Duration,
    /// How long a call may take that has no deadline.
    pub call_timeout: Duration,
    /// How long a connection may have no calls.
    pub keep_alive: Duration,
    /// How long a connection may be silent before it is asked whether it is still there.
    pub ping_interval: Duration,
    pub max_connection_age: Duration,
    pub access_log: AccessLog,
    /// How long a call may take and be no problem to log.
    pub slow_request: Duration,
    pub tls: Option<Tls>,
}
