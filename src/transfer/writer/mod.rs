//! Writes users into a file.

mod encoder;
mod records;

pub use encoder::Encoder;
pub use records::Writer;
#[cfg(test)]
pub(super) use records::tests;
