//! Reading users over REST and gRPC with the client crate: many concurrent calls on a few clients.
#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a bench prints what it measures; one that cannot continue should fail with a message"
)]
#![allow(dead_code, unused_imports, reason = "this bench uses only a part of `support`")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use user_service_client::{Client, Token};

use support::database::{Database, Db};
use support::service::Service;
use support::token::token;
use support::{USERS, scatter, settings};

/// Each client has its own connections: over gRPC one, over REST one for each call.
const CLIENTS: usize = 4;
const CALLS_AT_ONCE: usize = 64;

fn protocols(criterion: &mut Criterion) {
    for db in Db::available() {
        let mut group = criterion.benchmark_group(format!("read by id, by the client crate/{db}"));
        group.throughput(Throughput::Elements(1)).sampling_mode(SamplingMode::Flat);
        for protocol in ["REST", "gRPC"] {
            // Created on first use, so that benches that the command line filters out cost nothing.
            let mut reads = None;
            group.bench_function(format!("{protocol}/{CALLS_AT_ONCE}"), |bencher| {
                let reads = reads.get_or_insert_with(|| Reads::start(db, protocol));
                bencher.iter_custom(|calls| reads.run(calls));
            });
        }
        group.finish();
    }
}

/// Clients of a service on its own database.
struct Reads {
    runtime: Runtime,
    clients: Vec<Client>,
    // Fields are dropped in order: the service before its database.
    _service: Service,
    _database: Database,
}

impl Reads {
    fn start(db: Db, protocol: &str) -> Self {
        let database = Database::new(db, USERS);
        let service = Service::start(&database, &[]);
        let [grpc, http] = service.addresses.map(|address| format!("http://{address}"));
        let client = || if protocol == "gRPC" { Client::grpc(&*grpc) } else { Client::rest(&*http) };
        let runtime = Runtime::new().expect("a runtime");
        let clients = runtime.block_on(async {
            (0..CLIENTS).map(|_| client().token(Token::fixed(token())).build().expect("a client")).collect()
        });
        Self { runtime, clients, _service: service, _database: database }
    }

    fn run(&self, calls: u64) -> Duration {
        let next = Arc::new(AtomicU64::new(0));
        let begun = Instant::now();
        let mut callers = JoinSet::new();
        for number in 0..CALLS_AT_ONCE {
            let client = self.clients.get(number % CLIENTS).cloned().expect("a client");
            callers.spawn_on(call(client, Arc::clone(&next), calls), self.runtime.handle());
        }
        self.runtime.block_on(callers.join_all());
        begun.elapsed()
    }
}

async fn call(client: Client, next: Arc<AtomicU64>, end: u64) {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= end {
            return;
        }
        client.get_user(id(number)).await.expect("a user");
    }
}

fn id(number: u64) -> i64 {
    i64::try_from(scatter(number) % USERS + 1).expect("an id")
}

criterion_group! {
    name = benches;
    config = settings();
    targets = protocols
}
criterion_main!(benches);
