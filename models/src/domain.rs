//! In place of `src/domain/`.

/// Why a call failed.
#[derive(Debug)]
pub enum Error {
    Unavailable,
}
