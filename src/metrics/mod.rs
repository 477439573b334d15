//! The registry, and every metric's name, help, labels and buckets. Whoever counts something has a handle to just that.
//!
//! Series of a fixed set exist, at zero, from the start: what never happened is a number too.

mod auth;
mod calls;
mod events;
mod hung_calls;
mod lanes;
mod pool;
mod requests;
mod sampled;
mod users;

use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};

pub use auth::{AuthFailures, JwksRefreshes};
pub use calls::MethodMetrics;
pub use events::EventMetrics;
pub use hung_calls::HungCalls;
pub use lanes::{BatchFailure, LaneMetrics};
pub use pool::PoolMetrics;
pub use requests::{InFlight, RouteMetrics, method_label};
pub use users::Change;

use calls::Calls;
use hung_calls::AllHungCalls;
use lanes::Lanes;
use requests::Requests;
use sampled::Sampled;
use users::Changes;

/// The content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Seconds. A look-up takes tenths of a millisecond; the deadline is a few seconds.
const DURATION_BUCKETS: [f64; 14] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// The service's metrics. Clones share one registry.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    requests: Requests,
    calls: Calls,
    lanes: Lanes,
    pool: PoolMetrics,
    hung_calls: AllHungCalls,
    database_up: Sampled,
    database_failing: Sampled,
    changes: Changes,
    auth_failures: AuthFailures,
    jwks_refreshes: JwksRefreshes,
    events: EventMetrics,
}

impl Metrics {
    /// Registers every metric of a service on a database of this kind.
    ///
    /// # Errors
    /// When two have the same name.
    pub fn new(database: &str) -> prometheus::Result<Self> {
        let registry = Registry::new();
        let requests = Requests::new(&registry)?;
        let calls = Calls::new(&registry)?;
        let lanes = Lanes::new(&registry)?;
        let pool = PoolMetrics::new(&registry)?;
        let hung_calls = AllHungCalls::new(&registry)?;
        let database_up = register(&registry, Sampled::new("db_up", DATABASE_UP, &[])?)?;
        let database_failing = sampled(&registry, "db_failing", DATABASE_FAILING, &["check"])?;
        let changes = Changes::new(&registry)?;
        let auth_failures = AuthFailures::new(&registry)?;
        let jwks_refreshes = JwksRefreshes::new(&registry)?;
        let events = EventMetrics::new(&registry)?;
        let build = gauges(&registry, "user_service_build_info", BUILD_INFO, &["version", "commit", "database"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION"), env!("USER_SERVICE_COMMIT"), database]).set(1);
        registry.register(Box::new(ProcessCollector::for_self()))?;
        Ok(Self {
            registry,
            requests,
            calls,
            lanes,
            pool,
            hung_calls,
            database_up,
            database_failing,
            changes,
            auth_failures,
            jwks_refreshes,
            events,
        })
    }

    /// All metrics in Prometheus' text format.
    #[must_use]
    pub fn encode(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_else(|error| {
            log::error!("cannot encode the metrics: {error}");
            String::new()
        })
    }

    /// Has `db_up` tell what this says at each scrape.
    pub fn watch_database(&self, is_up: impl Fn() -> bool + Send + Sync + 'static) {
        self.database_up.add(&[], move || f64::from(u8::from(is_up())));
    }

    /// Has `db_failing` tell of this check what this says at each scrape.
    pub fn watch_check(&self, check: &str, fails: impl Fn() -> bool + Send + Sync + 'static) {
        self.database_failing.add(&[check], move || f64::from(u8::from(fails())));
    }

    /// Of the pool of database connections.
    #[must_use]
    pub fn pool(&self) -> &PoolMetrics {
        &self.pool
    }

    /// Tokens that did not do, and requests without one.
    #[must_use]
    pub fn auth_failures(&self) -> &AuthFailures {
        &self.auth_failures
    }

    /// What happens to events.
    #[must_use]
    pub fn events(&self) -> &EventMetrics {
        &self.events
    }

    /// Attempts to fetch an issuer's keys.
    #[must_use]
    pub fn jwks_refreshes(&self) -> &JwksRefreshes {
        &self.jwks_refreshes
    }
}

const DATABASE_UP: &str = "Whether the database can do what requests need, as /ready tells it: 1 or 0.";
const DATABASE_FAILING: &str = "What stands in the way if it cannot, as /ready names it: 1 for that, 0 for all else.";
const BUILD_INFO: &str = "What runs here; always 1.";

fn register<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> prometheus::Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
    register(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
}

fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
    register(registry, IntGaugeVec::new(Opts::new(name, help), labels)?)
}

fn sampled(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<Sampled> {
    register(registry, Sampled::new(name, help, labels)?)
}

fn histograms(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
    buckets: &[f64],
) -> prometheus::Result<HistogramVec> {
    let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    register(registry, HistogramVec::new(options, labels)?)
}
