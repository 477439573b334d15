//! Judges what a history of calls says about user-service: whether some order of the calls, each at one moment between its
//! start and its end, explains all answers.
//!
//! - [`History`] is read from a file with one call per line.
//! - [`check()`] judges it, and names the few calls that no order explains.
//! - [`compare`] holds what readers were told of changes against it.
//! - [`page()`] draws the fault.
//!
//! The library reads and writes no files; the program `user-service-checker` does.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod anomalies;
mod check;
pub mod events;
pub mod history;
mod model;
mod page;
mod partition;
mod shrink;
mod text;
mod wgl;
mod window;

// The tests' simulator names the library as other crates do.
#[cfg(test)]
extern crate self as user_service_checker;
#[cfg(test)]
#[path = "../tests/support/mod.rs"]
mod support;

pub use anomalies::{Anomaly, Finding};
pub use check::{Bounds, Fault, Report, Verdict, check};
pub use events::{Event, compare};
pub use history::{Call, History, Operation, Outcome, Protocol, User};
pub use page::page;
pub use window::{DeadEnd, Part, Window, WindowCall};
