use criterion::Criterion;

use super::cases::Cases;
use super::database::Db;
use super::service::Service;
use super::trial::{Server, Trial};
use super::work::Work;

/// The last one is the default, and more than there are clients: no batch is ever cut off.
const SIZES: [&str; 5] = ["1", "4", "16", "64", "256"];
const CLIENTS: usize = 64;

/// Measures what the largest batch that is allowed does to throughput and latency, for each database.
pub(crate) fn vary_batch_size(criterion: &mut Criterion, work: &Work) {
    for db in Db::available() {
        let mut cases = Cases::new(criterion, format!("{} by batch size/{db}", work.name));
        for size in SIZES {
            let serve = |database: &_| -> Box<dyn Server> {
                Box::new(Service::start(database, &[("DB_MAX_BATCH", size), ("DB_MAX_WAIT", "1m")]))
            };
            cases.measure(size.to_owned(), || Trial::start(db, CLIENTS, work, serve));
        }
        cases.finish();
    }
}
