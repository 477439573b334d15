//! What happens to every request before its handler, and to every response after it.

mod authorize;
mod cors;
mod host;
mod observe;
mod request_id;
mod security_headers;

pub(crate) use authorize::{Access, Authorize};
pub use cors::{Origins, cors};
pub use observe::{Observe, ObserveSettings};
