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
mod auth_keys;
mod auth_tokens;
mod backup;
mod bad_body;
mod bad_fields;
mod bad_request;
mod broken_connections;
mod browsers;
mod client;
mod client_faults;
mod command_line;
mod concurrency;
mod conditional;
mod config;
mod config_slips;
mod config_urls;
mod contract;
mod crash;
mod dashboard;
mod event_log;
mod event_retention;
mod event_schemas;
mod events_stream;
mod events_stream_ends;
mod events_stream_failover;
mod events_stream_late;
mod events_stream_resume;
mod failover;
mod foreign_grpc;
mod foreign_rest;
mod grpc;
mod grpc_connections;
mod grpc_errors;
mod grpc_health;
mod grpc_observed;
mod grpc_strangers;
mod grpc_watch;
mod haproxy;
mod health;
mod held_locks;
mod host;
mod hung;
mod identity;
mod jwks;
mod lambda;
mod lambda_url;
mod limits;
mod live_page;
mod locks;
mod logs;
mod lookup_plans;
mod metrics;
mod metrics_database;
mod metrics_documented;
mod migrations;
mod mixed_batch;
mod notices;
mod older_keys;
mod openapi;
mod openapi_calls;
mod openapi_texts;
mod openapi_walk;
mod outage;
mod paging;
mod paging_filters;
mod paging_token;
mod pipelining;
mod postgres_tls;
mod problem;
mod rabbitmq_ground;
mod rate_limit;
mod relay;
mod relay_failing;
mod replicas;
mod request_id;
mod reserve;
mod schema;
mod schema_ahead;
mod secrets;
mod seed;
mod shutdown;
mod shutdown_hung;
mod slow_clients;
mod sqlite_files;
mod support;
mod swagger_ui;
mod tls;
mod traces;
mod traces_failing;
mod unfit_database;
mod unread_output;
mod upgrade;
mod v1;
mod v1_list;
mod v2_patch;
mod v2_users;
