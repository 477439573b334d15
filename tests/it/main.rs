//! Black-box tests: the real program over HTTP, gRPC and the command line. Each test has its own database.
//!
//! `scripts/test` sets the variables that the tests need: `TEST_POSTGRES_URL`, a PostgreSQL superuser's connection;
//! `TEST_AMQP_URL`, a RabbitMQ broker, and `TEST_RABBITMQ_DIR`, the folder in which `scripts/rabbitmq` runs it;
//! `TEST_PYTHON` and `TEST_NODE_MODULES`, with which foreign clients are built.
#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test that cannot continue should fail with a message"
)]
#![allow(clippy::float_cmp, reason = "the metrics that tests compare are whole numbers")]
#![allow(unreachable_pub, reason = "a test crate has no users outside; `pub` marks what a module offers the others")]

mod auth;
mod client;
mod database;
mod events;
mod grpc;
mod operations;
mod rest;
mod support;
