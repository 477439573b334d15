//! Judges the real program while everything around it breaks: clients record every call, faults strike at random moments, and
//! the checker decides whether some order of the calls explains all answers. `scripts/prove-consistency` runs it for long.
//! Without arguments, as by `cargo test`, the first two worlds run side by side for less than a minute. docs/proofs.md says
//! what it proves.
#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on should say so and stop"
)]
#![allow(unreachable_pub, reason = "nobody is outside of a test crate: `pub` says what a module offers the others")]

mod arguments;
mod attributes;
mod client;
mod clock;
mod control;
mod events;
mod faults;
mod flaws;
mod freshness;
mod group;
mod grpc;
mod keyed;
mod operator;
mod outcome;
mod patroni;
mod plan;
mod proxy;
mod rabbitmq;
mod readers;
mod replica;
mod rest;
mod round;
mod row;
mod sse;
#[path = "../it/support/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    clippy::float_cmp,
    clippy::missing_panics_doc,
    reason = "the black-box tests use all of it, this one some"
)]
mod support;
mod verdict;
mod world;

use std::process::ExitCode;

use arguments::Arguments;
use clap::Parser as _;
use futures::{StreamExt as _, stream};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let worlds = arguments.worlds();
    let at_a_time = if arguments.is_short() { worlds.len().max(1) } else { 1 };
    let runs = stream::iter(worlds).map(|kind| round::run(kind, &arguments)).buffer_unordered(at_a_time);
    let are_sound: Vec<bool> = runs.collect().await;
    if are_sound.into_iter().all(|is_sound| is_sound) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
