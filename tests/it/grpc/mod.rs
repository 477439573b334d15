//! gRPC: its methods, errors, connections and streams.

mod calls;
mod connections;
mod errors;
mod foreign;
pub mod health;
mod observed;
mod unauthenticated;
mod watch;
