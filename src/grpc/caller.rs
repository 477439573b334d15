use std::net::IpAddr;
use std::time::Instant;

use super::limits::InFlightCall;
use crate::auth::Bearer;

/// The caller's connection, and the call itself.
pub(super) struct Caller {
    /// The peer's address, if it is known.
    pub(super) peer: Option<IpAddr>,
    pub(super) connection_ends: Instant,
    /// Whether the connection is one of the reserve, on which only methods that need no token are served.
    pub(super) is_in_reserve: bool,
    pub(super) call: InFlightCall,
}

/// A caller that was authorized, for what needs to know: a stream must end when its token or its connection does, and
/// idempotency keys are each caller's own.
#[derive(Clone, Copy)]
pub(super) struct Admitted {
    pub(super) bearer: Bearer,
    pub(super) connection_ends: Instant,
}
