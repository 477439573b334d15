//! Stores users and serves them to other services.
//!
//! A request enters in [`http`] or [`grpc`], which turns it into the words of a use case in [`users`]; the use case calls [`storage`],
//! where a database actor puts it into a batch with whatever else is waiting, and answers. Look for "create user" in any of
//! them and you find the same words: `http/v1/create_user.rs`, `grpc/create_user.rs`, `users/create_user.rs`,
//! `storage/create_users.rs`.
//!
//! - [`cli`] picks the command, [`config`] reads the environment, [`server`] wires everything together and runs it, and
//!   [`signals`] sees to it that it ends.
//! - [`auth`] tells by a request's token what its sender may do.
//! - [`events`] tells others of changes: a live stream, and a relay to a message broker.
//! - [`lambda`] serves what [`http`] serves where no connections come in, on AWS Lambda.
//! - [`net`] has what all listeners share: sockets, TLS, and how they learn of the end.
//! - [`metrics`] and [`telemetry`] tell what it does.
//!
//! The binary is the product; the library exists so that benches and tests can reach its parts.

pub mod auth;
pub mod cli;
pub mod config;
pub mod domain;
pub mod events;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
pub mod grpc;
pub mod healthcheck;
pub mod http;
pub mod lambda;
pub mod metrics;
pub mod net;
pub mod output;
pub mod proxy;
pub mod seed;
pub mod server;
pub mod service;
pub mod signals;
pub mod storage;
pub mod telemetry;
