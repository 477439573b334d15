//! Where the database is, and how the storage works with it.

pub(crate) mod attributes_schema_file;
pub(crate) mod database_url;
pub(crate) mod indexed_attributes;
mod percent_code;
mod postgres_uri;
mod sqlite_path;

use std::time::Duration;

use crate::domain::Freshness;
use attributes_schema_file::AttributesSchemaFile;
use database_url::DatabaseUrl;
use indexed_attributes::IndexedAttributes;

/// How the storage works. Each value is documented where it is configured.
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
    /// The longest expected wait for an actor with which a message is still admitted.
    pub max_wait: Duration,
    pub connect_timeout: Duration,
    pub auto_migrate: bool,
    /// How much memory users may take that are kept for look-ups. 0 keeps none.
    pub user_cache_bytes: u64,
    /// How old an answer from memory may be. 0 asks the database each time what has changed.
    pub max_staleness: Duration,
    /// What attributes are held to.
    pub attributes_schema: Option<AttributesSchemaFile>,
    /// The attributes by which lists can be filtered.
    pub attributes_indexed: IndexedAttributes,
    /// Whether the service itself makes the indexes for that.
    pub builds_indexes: bool,
}

impl Settings {
    /// The largest `max_staleness`.
    pub const LONGEST_STALENESS: Duration = Freshness::MOST_STALE;
}
