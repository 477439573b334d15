//! One client's connection: TLS, timeouts, HTTP/1.1, and memory bounds.
//!
//! `actix_web::HttpServer` bounds the first head of a connection and the time it lies idle. It bounds neither the heads
//! that follow, nor the rest of a body whose request it has answered, nor a client that does not read its responses. So
//! this module assembles a server of the same parts, around a [stream](timed_stream) that has these timeouts.
//!
//! **Phases.** Which timeout applies depends on the connection's [phase]. The phase follows from what passes through:
//! the stream sees bytes arrive and leave, and the [exchange] sees each request begin and its response body end.
//! Handlers, extractors and middleware know nothing of it. No crate for actix-web does this: middleware never sees the
//! socket. While a request is handled, the handler's own timeouts apply. A request costs no timer: a connection has
//! one, which is deferred and checks what is due when it fires.
//!
//! **Slow readers.** A timeout runs from the first write for which the client has no room until everything that is
//! ready is written; of a large response that is a chunk of 7 KiB ([`response_body`]). Until then nothing more is read.
//! This holds for a live stream too, whose silence is no idleness. A client that hangs up is noticed by the read in
//! which every connection waits. If it has sent more requests behind the stream than are read ahead, the next heartbeat
//! notices.
//!
//! **One request at a time.** actix-http decodes up to 16 requests ahead, but remembers of only one what decides where
//! a response ends: method, version, and whether the connection stays open. So a response to `GET` had no body if
//! `HEAD` came behind it, a request behind `Connection: close` was executed, and 163 small waiting requests took 0.9
//! MB. The patched copy in `vendor/` decodes the next head when the response before it is complete, and none after a
//! response that closes the connection. While a request is answered, about 4 KiB of what follows are read, undecoded;
//! of a head, at most `MAX_HEAD_BYTES` and 4 KiB. A larger head reaches the application without its headers, which
//! answers 431, so that it looks and counts like every failure. A connection that closes says so, then discards for a
//! second what its client still sends: the kernel would otherwise drop the response (RFC 9112, 9.6).

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
