//! Creating users, and updating them.
#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a bench prints what it measures; one that cannot continue should fail with a message"
)]

mod requests {
    pub(crate) mod create_user;
    pub(crate) mod update_user;
    mod walk;
}
mod support;

use criterion::{Criterion, criterion_group, criterion_main};

use requests::create_user::create_user;
use requests::update_user::update_user;
use support::{USERS, Work, alike, compare, settings, vary_batch_size};

const CREATE: Work = Work { name: "create", users: 0, scripts: |_, clients| alike(clients, create_user) };

const UPDATE: Work = Work { name: "update with If-Match", users: USERS, scripts: update_user };

fn writes(criterion: &mut Criterion) {
    compare(criterion, &CREATE);
    compare(criterion, &UPDATE);
    vary_batch_size(criterion, &CREATE);
}

criterion_group! {
    name = benches;
    config = settings();
    targets = writes
}
criterion_main!(benches);
