use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntGauge, Registry};

use super::register::{DURATION_BUCKETS, register, sampled};
use super::sampled::Sampled;

const CONNECTIONS: &str = "Open database connections, by whether somebody uses them.";
const MAX_CONNECTIONS: &str = "Database connections that the pool may open.";
const ACQUISITION: &str = "Time until the pool gave a batch its connection, or gave up.";

/// Metrics of the pool of database connections. Clones share the numbers.
#[derive(Clone)]
pub struct PoolMetrics {
    connections: Sampled,
    max_connections: IntGauge,
    acquisitions: Histogram,
}

impl PoolMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let options = HistogramOpts::new("db_pool_acquire_duration_seconds", ACQUISITION);
        Ok(Self {
            connections: sampled(registry, "db_pool_connections", CONNECTIONS, &["state"])?,
            max_connections: register(registry, IntGauge::new("db_pool_max_connections", MAX_CONNECTIONS)?)?,
            acquisitions: register(registry, Histogram::with_opts(options.buckets(DURATION_BUCKETS.to_vec()))?)?,
        })
    }

    /// Sets the maximum, and reads the number of idle and used connections at each scrape.
    pub fn watch(
        &self,
        max_connections: u32,
        idle: impl Fn() -> u32 + Send + Sync + 'static,
        in_use: impl Fn() -> u32 + Send + Sync + 'static,
    ) {
        self.max_connections.set(max_connections.into());
        self.connections.add(&["idle"], move || idle().into());
        self.connections.add(&["in_use"], move || in_use().into());
    }

    /// Records how long a batch waited for its connection.
    pub fn acquired(&self, wait: Duration) {
        self.acquisitions.observe(wait.as_secs_f64());
    }
}
