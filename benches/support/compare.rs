use std::net::SocketAddr;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput};

use super::classic::Classic;
use super::client::Clients;
use super::database::{Database, Db};
use super::service::Service;
use super::work::Work;

const CLIENTS: [usize; 3] = [1, 16, 64];

/// Short, because there are many of them. The command line may say otherwise.
pub(crate) fn settings() -> Criterion {
    Criterion::default().sample_size(15).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3))
}

/// Measures requests a second for each database, each number of clients, and each way to do the work.
pub(crate) fn compare(criterion: &mut Criterion, work: &Work) {
    for db in Db::available() {
        let mut group = criterion.benchmark_group(format!("{}/{db}", work.name));
        group
            .throughput(Throughput::Elements(1))
            // Samples of one length: in short ones the clients that start late and end early would weigh more.
            .sampling_mode(SamplingMode::Flat);
        for clients in CLIENTS {
            measure(&mut group, clients, work, db, Way::Actors);
            measure(&mut group, clients, work, db, Way::Classic);
        }
        group.finish();
    }
}

fn measure(group: &mut BenchmarkGroup<'_, WallTime>, clients: usize, work: &Work, db: Db, way: Way) {
    // Made when first needed: what the command line filters out costs nothing.
    let mut trial = None;
    group.bench_function(BenchmarkId::new(way.name(), clients), |bencher| {
        let Trial { clients, .. } = trial.get_or_insert_with(|| Trial::start(way, db, clients, work));
        bencher.iter_custom(|requests| clients.run(requests, work));
    });
}

#[derive(Clone, Copy)]
enum Way {
    Actors,
    Classic,
}

impl Way {
    const fn name(self) -> &'static str {
        match self {
            Self::Actors => "actors",
            Self::Classic => "web::block",
        }
    }

    fn serve(self, database: &Database) -> Server {
        match self {
            Self::Actors => Server::Actors(Service::start(database)),
            Self::Classic => Server::Classic(Classic::start(database)),
        }
    }
}

/// A server that runs until it is dropped.
enum Server {
    Actors(Service),
    Classic(Classic),
}

impl Server {
    const fn address(&self) -> SocketAddr {
        match self {
            Self::Actors(service) => service.address(),
            Self::Classic(classic) => classic.address(),
        }
    }
}

/// Clients of a server of a database that nothing else uses. Dropped in this order.
struct Trial {
    clients: Clients,
    _server: Server,
    _database: Database,
}

impl Trial {
    fn start(way: Way, db: Db, clients: usize, work: &Work) -> Self {
        let database = Database::new(db, work.users);
        let server = way.serve(&database);
        Self { clients: Clients::connect(server.address(), clients), _server: server, _database: database }
    }
}
