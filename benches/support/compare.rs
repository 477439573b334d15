use criterion::Criterion;

use super::cases::Cases;
use super::classic::Classic;
use super::database::{Database, Db};
use super::service::Service;
use super::trial::{Server, Trial};
use super::work::Work;

/// With one client, results differ by up to a factor of four, depending on how the operating system spreads threads
/// over the cores.
const CLIENTS: [usize; 3] = [1, 16, 64];

/// Measures requests per second for each database, number of clients and implementation.
pub(crate) fn compare(criterion: &mut Criterion, work: &Work) {
    for db in Db::available() {
        let mut cases = Cases::new(criterion, format!("{}/{db}", work.name));
        for clients in CLIENTS {
            for way in [Way::Actors, Way::Classic] {
                let start = || Trial::start(db, clients, work, |database| way.serve(database));
                cases.measure(format!("{}/{clients}", way.name()), start);
            }
        }
        cases.finish();
    }
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

    fn serve(self, database: &Database) -> Box<dyn Server> {
        match self {
            Self::Actors => Box::new(Service::start(database, &[])),
            Self::Classic => Box::new(Classic::start(database)),
        }
    }
}
