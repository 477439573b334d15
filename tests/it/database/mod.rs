//! Storage, on a database that is shared, locked, broken, replaced or old.

mod concurrency;
mod crash;
mod failed_calls;
mod failover;
mod held_locks;
mod hung;
mod idempotency;
mod identity;
mod legacy_keys;
mod locks;
mod lookup_plans;
mod migrations;
mod mixed_batch;
mod notices;
mod outage;
mod postgres_tls;
mod replicas;
mod schema;
mod schema_ahead;
mod sqlite_files;
mod staleness;
mod unfit;
mod user_cache;
mod user_cache_postgres;
