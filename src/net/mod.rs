//! What the listeners of all protocols have in common: sockets and how many, TLS, and how they learn that the service ends.

mod bind;
mod draining;
mod open_files;
mod tls;

pub use bind::{ListenError, bind, prepare};
pub use draining::Draining;
pub use open_files::raise_open_files;
pub use tls::{Tls, TlsError};
