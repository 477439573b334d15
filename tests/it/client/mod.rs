//! The client for Rust, against the real service.

mod calls;
mod contract;
mod faults;
