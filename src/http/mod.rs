//! REST: the routes, two versions of the API, and the service's own pages.
//!
//! A request passes from the top of this list to the bottom, and its response back up:
//!
//! - [`connection`] has TLS, timeouts and HTTP/1.1.
//! - [`middleware`] does what every request needs: its id, authorization, metrics, CORS.
//! - `routes.rs` finds the handler: the table there lists all of them.
//! - [`extract`] parses ids, query strings and bodies for it.
//! - [`v1`], [`v2`] and [`pages`] hold the handlers. A handler translates a request into the words of a use case in
//!   [`crate::service`], and the result into a response. It touches no Diesel, connection or row.
//! - [`problem`] says what failures look like, and [`mod@openapi`] describes all of this to clients.

mod connection;
mod extract;
mod middleware;
mod openapi;
mod pages;
mod problem;
mod resource;
mod routes;
mod settings;
mod v1;
mod v2;

pub use connection::{Application, ConnectionSettings, listen};
pub use extract::BodyLimits;
#[cfg(feature = "fuzzing")]
pub(crate) use extract::{Format, UserBody, UserPatch};
pub use middleware::{Observe, ObserveSettings, Origins, cors};
pub use openapi::openapi;
pub use routes::routes;
pub use settings::Settings;
