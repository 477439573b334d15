//! One client's connection: TLS, timeouts, HTTP/1.1, and memory bounds.
//!
//! `actix_web::HttpServer` bounds the first head of a connection and the time it lies idle. It bounds neither the heads that
//! follow, nor the rest of a body whose request it has answered, nor a client that does not read its responses. So this
//! room assembles a server of the same parts, around a [stream](timed_stream) that has these timeouts.
//!
//! Which timeout applies depends on the connection's [phase]. The phase follows from what passes through: the stream sees bytes
//! arrive and leave, and the [exchange] sees each request begin and its response body end. Handlers, extractors and
//! middleware know nothing of it. No crate for actix-web does this: middleware never sees the socket.

mod application;
mod exchange;
mod listener;
mod phase;
mod response_body;
mod settings;
mod state;
mod timed_stream;

pub use application::Application;
pub use listener::listen;
pub use settings::ConnectionSettings;
pub(crate) use state::is_in_reserve;
