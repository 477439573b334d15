//! What the listeners of all protocols have in common: sockets, TLS, and how they learn that the service ends.

mod bind;
mod draining;
mod tls;

pub use bind::{ListenError, bind, prepare};
pub use draining::Draining;
pub use tls::{Tls, TlsError};
