//! Models of `src/storage/database/`.

pub mod pool;
#[path = "../../../../src/storage/database/workers/mod.rs"]
#[allow(dead_code, unreachable_pub, reason = "the file is included as it is")]
pub(crate) mod workers;
pub mod workers_models;
