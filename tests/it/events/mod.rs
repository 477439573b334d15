//! Events: the log, the live stream and the relay to the message broker.

mod log;
mod rabbitmq;
mod relay;
mod relay_failing;
mod retention;
mod schemas;
mod stream;
mod stream_ends;
mod stream_failover;
mod stream_late;
mod stream_resume;
