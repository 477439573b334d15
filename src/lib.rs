//! A users microservice: stores users and serves them to other services.
//!
//! A request enters in [`http`] or [`grpc`], which turns it into the arguments of a use case in [`service`]. The use
//! case parses them with the types of [`domain`] and calls [`storage`], where a database actor runs it in a batch with
//! other requests, and answers. Each step has the same words in its names: `http/v2/create_user.rs` or
//! `create_user` in `grpc/methods.rs`, `service/create_user.rs`, `storage/write/request/create.rs`.
//!
//! - [`cli`] picks the command, [`config`] reads the environment, [`server`] wires all parts together and runs them,
//!   and [`signals`] bounds the time that a shutdown may take.
//! - [`transfer`] writes users into files, and reads them.
//! - [`auth`] decides by a request's token what its sender may do.
//! - [`events`] delivers changes of users: a live stream, and a relay to a message broker.
//! - [`lambda`] drives the application of [`http`] on AWS Lambda, where no connections come in.
//! - [`net`] is what all listeners share: sockets, TLS, limits of connections, and draining.
//! - [`metrics`] and [`telemetry`] report what the service does.
//! - [`seed`], [`mod@export`], [`mod@import`], [`attribute_indexes`], [`healthcheck`] and [`output`] serve the other commands, and [`proxy`] finds the proxy of outgoing
//!   requests.
//!
//! The binary is the product. The library exists so that tests and benches can reach its parts.

pub mod attribute_indexes;
pub mod auth;
pub mod check_attributes;
pub mod cli;
pub mod config;
pub mod domain;
pub mod events;
pub mod export;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod grpc;
pub mod healthcheck;
pub mod http;
pub mod import;
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
pub mod transfer;
