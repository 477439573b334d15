//! Cuts the write path on SQLite at one system call after the other: strace kills the real program there or has the call
//! fail, while clients write. Afterwards what was acknowledged must be there, nothing half, and the events must match.
//! `scripts/prove-crash-points` runs it; docs/proofs.md says what it proves.
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

mod aftermath;
mod arguments;
mod calls;
mod client;
#[path = "../consistency/clock.rs"]
mod clock;
#[path = "../consistency/events.rs"]
#[allow(dead_code, reason = "clients of gRPC take part in the other proof only")]
mod events;
mod evidence;
#[path = "../consistency/flaws.rs"]
mod flaws;
#[path = "../consistency/freshness.rs"]
#[allow(dead_code, reason = "here no answer may be stale: nobody asks for that")]
mod freshness;
mod group;
mod origin;
#[path = "../consistency/outcome.rs"]
mod outcome;
mod plan;
mod point;
mod power;
#[path = "../consistency/rest.rs"]
mod rest;
mod rows;
#[path = "../consistency/sse.rs"]
#[allow(dead_code, reason = "the other proof waits for certain events")]
mod sse;
mod summary;
#[path = "../it/support/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    clippy::float_cmp,
    clippy::missing_panics_doc,
    reason = "the black-box tests use all of it, this one some"
)]
mod support;
mod survey;
mod trial;
mod verdict;
mod workers;
mod workload;

use std::process::ExitCode;

use arguments::Arguments;
use clap::Parser as _;
use summary::Summary;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut summary = Summary::default();
    for phase in arguments.phases() {
        let origin = workers::wait_for(origin::make(phase, arguments.seed));
        let points = arguments.points_of(phase, || workers::wait_for(survey::survey(phase, &origin, arguments.seed)));
        let trials = workers::side_by_side(&points, |point| trial::repeat_until_struck(point, &origin, arguments.seed));
        summary.add(phase, &trials);
    }
    println!("{}", summary.text(arguments.seed));
    if summary.is_proved() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
