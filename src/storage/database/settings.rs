use std::time::Duration;

use super::database_url::DatabaseUrl;

/// How the storage works; every value is documented where it is configured.
#[derive(Clone, Debug)]
pub struct Settings {
    pub url: DatabaseUrl,
    pub pool_size: u32,
    pub lookup_actors: usize,
    pub page_actors: usize,
    pub mailbox: usize,
    pub max_batch: usize,
    /// How long a caller waits for an answer, queueing included.
    pub deadline: Duration,
    /// How long a message may be expected to wait for an actor.
    pub max_wait: Duration,
    pub connect_timeout: Duration,
    pub auto_migrate: bool,
}
