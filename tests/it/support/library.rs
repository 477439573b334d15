use std::time::Duration;

use user_service::metrics::Metrics;

use user_service::storage::{DatabaseUrl, IndexedAttributes, Running, Settings, Storage};

use super::Database;

/// The storage without the program, to test what no request can reach.
pub fn library(database: &Database) -> (Storage, Running) {
    let url = DatabaseUrl::parse(database.url()).expect("a database's URL");
    let metrics = Metrics::new(url.kind()).expect("metrics");
    let settings = Settings {
        url,
        pool_size: 6,
        lookup_actors: 1,
        page_actors: 1,
        mailbox: 16,
        max_batch: 16,
        deadline: Duration::from_secs(10),
        max_wait: Duration::from_secs(1),
        connect_timeout: Duration::from_secs(5),
        auto_migrate: true,
        user_cache_bytes: 1 << 20,
        max_staleness: Duration::ZERO,
        attributes_schema: None,
        attributes_indexed: IndexedAttributes::default(),
        builds_indexes: false,
    };
    Storage::start(&settings, &metrics).expect("threads")
}
