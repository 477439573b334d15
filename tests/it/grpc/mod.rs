//! gRPC: its methods, errors, connections and streams.

mod batches;
mod calls;
mod connections;
mod errors;
mod foreign;
pub mod health;
mod idempotency;
mod observed;
mod profiles;
mod unauthenticated;
mod watch;
