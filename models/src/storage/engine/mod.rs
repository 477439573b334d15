//! Models of `src/storage/engine/`.

#[path = "../../../../src/storage/engine/pace.rs"]
#[allow(dead_code, unreachable_pub, reason = "the file is included as it is")]
mod pace;
#[path = "../../../../src/storage/engine/reply.rs"]
#[allow(dead_code, unreachable_pub, reason = "the file is included as it is")]
mod reply;

pub mod pace_models;
pub mod reply_models;
