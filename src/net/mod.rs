//! What the listeners of all protocols have in common: sockets, connections and how many, TLS, and how they learn that the service ends.

mod bind;
mod draining;
mod open_files;
mod places;
mod tls;

pub use bind::{ListenError, bind, prepare};
pub use draining::Draining;
pub use open_files::raise_open_files;
pub use places::{Place, Places};
pub use tls::{Tls, TlsError};
