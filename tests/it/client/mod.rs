//! The client for Rust, against the real service.

mod batches;
mod calls;
mod contract;
mod faults;
mod imports;
mod profiles;
