//! What the listeners of all protocols share: sockets, connection slots, TLS, and the signal that the service is
//! draining.

mod bind;
mod connection_slots;
mod draining;
mod open_files;
mod tls;

pub use bind::{ListenError, bind, prepare};
pub use connection_slots::{ConnectionSlot, ConnectionSlots};
pub use draining::Draining;
pub use open_files::raise_open_files;
pub use tls::{Tls, TlsError};
