use actix_web::HttpRequest;

use super::phase::CurrentPhase;

/// What the requests on a connection can find out about it. Clones share the phase.
#[derive(Clone)]
pub(super) struct ConnectionState {
    pub(super) phase: CurrentPhase,
    /// Whether the connection holds a [reserve slot](crate::net::ConnectionSlot).
    pub(super) is_in_reserve: bool,
}

/// Whether the request came over a reserve connection, on which the service answers only what needs no token, and only
/// once.
pub(crate) fn is_in_reserve(request: &HttpRequest) -> bool {
    request.conn_data::<ConnectionState>().is_some_and(|state| state.is_in_reserve)
}
