//! Black-box tests: the real load tester against the real service.
#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::float_cmp,
    clippy::panic,
    reason = "a test that cannot continue should fail with a message; JSON has counts as floats"
)]

mod arguments;
mod files;
mod open_loop;
mod runs;
mod support;
