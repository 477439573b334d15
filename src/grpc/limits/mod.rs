//! Limits on what one client can take from the others: memory, worker time and concurrent calls. They are strictest for
//! unauthenticated clients.

mod frames;
mod headers;
mod in_flight;
mod paced_stream;
mod scheduler;
mod stall_timeout;

pub(super) use headers::{has_few_headers, keep_authorization_headers, keep_tonic_headers};
pub(super) use in_flight::{InFlightCall, InFlightCalls};
pub(super) use paced_stream::PacedStream;
pub(super) use stall_timeout::{Stall, StallTimeout};
