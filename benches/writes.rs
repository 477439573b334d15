//! Creating users.
#![forbid(unsafe_code)]
#![allow(clippy::expect_used, clippy::print_stderr, reason = "a bench that cannot go on should say so and stop")]

mod support;

use std::io::Write as _;

use criterion::{Criterion, criterion_group, criterion_main};

use support::{Work, compare, scatter, settings};

fn create(criterion: &mut Criterion) {
    compare(
        criterion,
        &Work {
            name: "create",
            users: 0,
            status: 201,
            request: |number, out| {
                // In no order, as addresses come: in order, the index would only ever grow at its end.
                let mailbox = scatter(number);
                let body = format!(r#"{{"name":"Grace Hopper","email":"{mailbox:016x}@example.com"}}"#);
                let length = body.len();
                write!(
                    out,
                    "POST /api/v1/users HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                     Content-Length: {length}\r\n\r\n{body}"
                )
                .expect("memory");
            },
        },
    );
}

criterion_group! {
    name = benches;
    config = settings();
    targets = create
}
criterion_main!(benches);
