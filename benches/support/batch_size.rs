use criterion::Criterion;

use super::cases::Cases;
use super::database::Db;
use super::service::Service;
use super::trial::{Server, Trial};
use super::work::Work;

/// The last size is the default. It exceeds the number of clients, so it never limits a batch.
const SIZES: [&str; 5] = ["1", "4", "16", "64", "256"];
const CLIENTS: usize = 64;

/// Measures how `DB_MAX_BATCH` affects throughput and latency, for each database.
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
