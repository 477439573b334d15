//! gRPC: the same use cases as over REST, for other services. Its API is proto/users/v1/users.proto.
//!
//! - [`endpoint`] lists the methods, with the scope that each needs. A method that it does not list is not answered.
//! - [`methods`] implements them, in the order of the proto.
//! - [`calls`] is what each call passes through. Every error is a [`failure::Failure`].
//! - [`connection`] serves a connection, and [`limits`] bounds what a client can take from the others.
//!
//! hyper speaks HTTP/2, and tonic speaks gRPC over it. A connection is served by one of the workers that serve HTTP,
//! and all its calls run on that thread. So calls and requests share the wake-ups of their batches: an actor wakes one
//! caller of each thread, and that one wakes its neighbours, whichever protocol they came by.
//!
//! gRPC and HTTP do not know each other: what both need is in `auth`, `net`, `telemetry` or `domain`.

mod batch;
mod body;
mod caller;
mod calls;
mod codec;
mod completion;
mod connection;
mod convert;
mod deadline;
mod endpoint;
mod etag;
mod failure;
mod freshness;
mod generated;
mod handler;
mod health;
mod idempotency;
mod limits;
mod listener;
mod methods;
mod raw_user;
mod read_mask;
mod reflection;
mod services;
mod settings;
mod update_mask;
mod watch_users;

pub use calls::Calls;
pub use listener::listen;
pub use methods::Users;
pub use settings::Settings;
