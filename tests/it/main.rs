//! Black-box tests: the real program over HTTP and the command line, each test on a database of its own.
//!
//! `TEST_POSTGRES_URL` names a PostgreSQL superuser's connection, `TEST_AMQP_URL` a RabbitMQ and `TEST_RABBITMQ_DIR` the
//! folder that `scripts/rabbitmq` runs it in, `TEST_PYTHON` and `TEST_NODE_MODULES` what foreign clients are made with;
//! `scripts/test` provides them.
#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test that cannot go on should say so and stop"
)]
#![allow(clippy::float_cmp, reason = "the numbers of metrics that are compared are whole ones")]
#![allow(unreachable_pub, reason = "nobody is outside of a test crate: `pub` says what a module offers the others")]

mod auth;
mod client;
mod database;
mod events;
mod grpc;
mod operations;
mod rest;
mod support;
