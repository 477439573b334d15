//! Reading users: by id, by id while others are created, and in pages.
#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a bench prints what it measures; one that cannot continue should fail with a message"
)]

mod requests {
    pub(crate) mod create_user;
    pub(crate) mod get_user;
    pub(crate) mod list_users;
    mod walk;
}
mod support;

use criterion::{Criterion, criterion_group, criterion_main};

use requests::create_user::create_user;
use requests::get_user::get_user;
use requests::list_users::list_users;
use support::{USERS, Work, alike, compare, settings, vary_batch_size};

const READ_BY_ID: Work = Work { name: "read by id", users: USERS, scripts: |_, clients| alike(clients, get_user) };

const MIXED: Work = Work {
    name: "mixed 95/5",
    users: USERS,
    scripts: |_, clients| {
        alike(clients, |number, out| if number % 20 == 0 { create_user(number, out) } else { get_user(number, out) })
    },
};

const PAGE: Work = Work { name: "page of 20", users: USERS, scripts: list_users };

fn reads(criterion: &mut Criterion) {
    compare(criterion, &READ_BY_ID);
    compare(criterion, &MIXED);
    compare(criterion, &PAGE);
    vary_batch_size(criterion, &READ_BY_ID);
}

criterion_group! {
    name = benches;
    config = settings();
    targets = reads
}
criterion_main!(benches);
