//! Models of `src/storage/`.

pub mod database;
pub mod engine;
pub mod event_log;
