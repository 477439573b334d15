//! Models of `src/storage/database/pool/`.

#[path = "../../../../../src/storage/database/pool/generation.rs"]
#[allow(dead_code, unreachable_pub, reason = "the file is included as it is")]
mod generation;
#[path = "../../../../../src/storage/database/pool/watchdog.rs"]
#[allow(dead_code, unreachable_pub, reason = "the file is included as it is")]
mod watchdog;

pub mod generation_models;
pub mod watchdog_models;

mod manager {
    /// In place of the real one, whose connections nobody uses here.
    pub(super) struct Manager;
}
