//! Limits on what one client can take from the others: memory, worker time and concurrent calls. They are strictest for
//! unauthenticated clients.
//!
//! Without these limits an unauthenticated client could make a connection cost megabytes. h2 parses everything that has
//! arrived before anyone can reject the first of it. Headers of 500 bytes on the wire may take 100 KiB. h2 keeps the
//! largest tables that it ever had. A header that it remembers holds on to the buffer into which it was read. And each
//! rejection waits in memory for a client that does not read. So until a call on a connection was authorized:
//!
//! - the connection is read one frame of a call at a time, and not while its client reads nothing ([`paced_stream`]);
//! - only those of a call's headers are kept that are needed ([`headers`]);
//! - the connection has four concurrent calls, and is shut down gracefully after 16 KiB ([`in_flight`]);
//! - it shares the reads of its thread with other such connections ([`scheduler`]).
//!
//! [`stall_timeout`] holds for everyone.

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
