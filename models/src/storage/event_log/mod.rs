//! Models of `src/storage/event_log/`.

#[path = "../../../../src/storage/event_log/blocking_call.rs"]
#[allow(dead_code, unreachable_pub, reason = "the file is included as it is")]
mod blocking_call;

pub mod blocking_call_models;
