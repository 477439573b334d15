//! gRPC: the same use cases as over REST, for other services. Its API is proto/users/v1/users.proto.
//!
//! [`methods`] implements the methods, in the order of the proto; [`endpoint`] lists them with the scopes that they need.
//! A call passes through [`calls`], which gives it its id, deadline, trace and metrics, and authorizes it. Every error is a
//! [`failure::Failure`]. hyper serves the connections, on the same workers that serve HTTP, so that calls and requests share
//! the wake-ups of their batches; [`limits`] bounds what a client can take from the others.

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
mod generated;
mod handler;
mod health;
mod limits;
mod listener;
mod methods;
mod reflection;
mod services;
mod settings;
mod update_mask;
mod watch_users;

pub use calls::Calls;
pub use listener::listen;
pub use methods::Users;
pub use settings::Settings;
