//! Reading one user by id, out of 10,000.
#![forbid(unsafe_code)]
#![allow(clippy::expect_used, clippy::print_stderr, reason = "a bench that cannot go on should say so and stop")]

mod support;

use std::io::Write as _;

use criterion::{Criterion, criterion_group, criterion_main};

use support::{Work, compare, scatter, settings};

const USERS: u64 = 10_000;

fn read_by_id(criterion: &mut Criterion) {
    compare(
        criterion,
        &Work {
            name: "read by id",
            users: USERS,
            status: 200,
            request: |number, out| {
                let id = 1 + scatter(number) % USERS;
                write!(out, "GET /api/v1/users/{id} HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("memory");
            },
        },
    );
}

criterion_group! {
    name = benches;
    config = settings();
    targets = read_by_id
}
criterion_main!(benches);
