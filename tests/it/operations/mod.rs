//! What operators see and set: commands, configuration, logs, metrics, traces, startup and shutdown.

mod attribute_indexes;
mod backup;
mod command_line;
mod config;
mod config_slips;
mod config_urls;
mod dashboard;
mod export;
mod haproxy;
mod health;
mod import;
mod lambda;
mod lambda_url;
mod logs;
mod metrics;
mod metrics_database;
mod metrics_documented;
mod secrets;
mod seed;
mod shutdown;
mod shutdown_hung;
mod tls;
mod traces;
mod traces_failing;
mod unread_output;
