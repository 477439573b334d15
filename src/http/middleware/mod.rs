//! What happens to every request before its handler, and to every response after it.
//!
//! [`observe`] is the outermost. It gives each request its id, starts the clock, writes each failure in the form of the
//! route's version, sets the headers that every response has, and counts. [`authorize`] comes before all other code of
//! a route, the reader of the body included: it asks `auth` whether the token is valid, and counts for `RATE_LIMIT`.
//! Who may use a route is a column of the table in `routes.rs`; a route without it does not compile.
//!
//! - No handler asks who is calling.
//! - No handler writes an error response. It returns a `Failure`, which knows no version of the API.
//! - No error that a client sees holds an internal detail. Those go to the log.

mod authorize;
mod cors;
mod host;
mod observe;
mod request_id;
mod security_headers;

pub(crate) use authorize::{Access, Authorize};
pub use cors::{Origins, cors};
pub use observe::{Observe, ObserveSettings};
