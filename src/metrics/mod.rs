//! The metrics registry, and every metric's name, help, labels and buckets. No metric is made elsewhere: other modules
//! get handles to just the metrics that they record.
//!
//! No label value comes from a client: routes are patterns, and unknown methods are `other`. Series whose labels are
//! known in advance exist from the start, at zero, so that "never happened" is visible too.

mod auth;
mod calls;
mod events;
mod exports;
mod hung_calls;
mod idempotency;
mod imports;
mod in_flight;
mod lanes;
mod pool;
mod register;
mod requests;
mod sampled;
mod user_cache;
mod users;

use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use prometheus::process_collector::ProcessCollector;
use prometheus::{Registry, TextEncoder};

pub use auth::{AuthFailures, JwksRefreshes};
pub use calls::MethodMetrics;
pub use events::EventMetrics;
pub use exports::{ExportMetrics, RunningExport};
pub use hung_calls::HungCalls;
pub use idempotency::IdempotencyMetrics;
pub use imports::{ImportMetrics, ImportedRecords, RunningImport};
pub use in_flight::InFlight;
pub use lanes::{BatchFailure, LaneMetrics};
pub use pool::PoolMetrics;
pub use requests::{RouteMetrics, method_label};
pub use user_cache::{Flush, UserCacheMetrics};
pub use users::Change;

use calls::Calls;
use hung_calls::AllHungCalls;
use lanes::Lanes;
use register::{gauges, register, sampled};
use requests::Requests;
use sampled::Sampled;
use users::Changes;

/// The content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The service's metrics. Clones share one registry.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    requests: Requests,
    calls: Calls,
    lanes: Lanes,
    pool: PoolMetrics,
    user_cache: UserCacheMetrics,
    idempotency: IdempotencyMetrics,
    imports: ImportMetrics,
    hung_calls: AllHungCalls,
    database_up: Sampled,
    database_failing: Sampled,
    changes: Changes,
    auth_failures: AuthFailures,
    jwks_refreshes: JwksRefreshes,
    events: EventMetrics,
    exports: ExportMetrics,
}

impl Metrics {
    /// Registers all metrics. `database` is the kind of database, a label of the build info.
    ///
    /// # Errors
    /// When two metrics have the same name.
    pub fn new(database: &str) -> prometheus::Result<Self> {
        let registry = Registry::new();
        let requests = Requests::new(&registry)?;
        let calls = Calls::new(&registry)?;
        let lanes = Lanes::new(&registry)?;
        let pool = PoolMetrics::new(&registry)?;
        let user_cache = UserCacheMetrics::new(&registry)?;
        let idempotency = IdempotencyMetrics::new(&registry)?;
        let imports = ImportMetrics::new(&registry)?;
        let hung_calls = AllHungCalls::new(&registry)?;
        let database_up = register(&registry, Sampled::new("db_up", DATABASE_UP, &[])?)?;
        let database_failing = sampled(&registry, "db_failing", DATABASE_FAILING, &["check"])?;
        let changes = Changes::new(&registry)?;
        let auth_failures = AuthFailures::new(&registry)?;
        let jwks_refreshes = JwksRefreshes::new(&registry)?;
        let events = EventMetrics::new(&registry)?;
        let exports = ExportMetrics::new(&registry)?;
        let build = gauges(&registry, "user_service_build_info", BUILD_INFO, &["version", "commit", "database"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION"), env!("USER_SERVICE_COMMIT"), database]).set(1);
        registry.register(Box::new(ProcessCollector::for_self()))?;
        Ok(Self {
            registry,
            requests,
            calls,
            lanes,
            pool,
            user_cache,
            idempotency,
            imports,
            hung_calls,
            database_up,
            database_failing,
            changes,
            auth_failures,
            jwks_refreshes,
            events,
            exports,
        })
    }

    /// Encodes all metrics in Prometheus' text format.
    #[must_use]
    pub fn encode(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_else(|error| {
            log::error!("cannot encode the metrics: {error}");
            String::new()
        })
    }

    /// The metrics of one route: a pattern of the route table, never a path. Creates the series of its successes, at
    /// zero.
    #[must_use]
    pub fn of_route(&self, route: &'static str, successes: &[(Method, StatusCode)]) -> RouteMetrics {
        RouteMetrics::new(&self.requests, route, successes)
    }

    /// The metrics of requests that match no route.
    #[must_use]
    pub fn of_unmatched(&self) -> RouteMetrics {
        RouteMetrics::unmatched(&self.requests)
    }

    /// The metrics of one gRPC method that streams. `method` includes the service, as in
    /// `users.v1.UserService/WatchUsers`. Creates the series of its successes, at zero.
    #[must_use]
    pub fn of_method(&self, method: &'static str) -> MethodMetrics {
        MethodMetrics::streaming(&self.calls, method)
    }

    /// The metrics of one gRPC method that responds with a single message. In contrast to a stream, its duration is
    /// recorded.
    #[must_use]
    pub fn of_unary_method(&self, method: &'static str) -> MethodMetrics {
        MethodMetrics::unary(&self.calls, method)
    }

    /// The metrics of gRPC calls to unknown methods.
    #[must_use]
    pub fn of_unmatched_calls(&self) -> MethodMetrics {
        MethodMetrics::unmatched(&self.calls)
    }

    /// The metrics of one lane, which has this many actors, and whose mailbox holds up to `capacity` messages.
    #[must_use]
    pub fn lane(&self, name: &str, actors: usize, capacity: usize) -> LaneMetrics {
        LaneMetrics::new(&self.lanes, &self.changes, name, actors, capacity)
    }

    /// Reads the number of messages waiting in a lane, and the expected wait of another one, at each scrape.
    pub fn watch_lane(
        &self,
        name: &str,
        waiting: impl Fn() -> usize + Send + Sync + 'static,
        expected_wait: impl Fn() -> Duration + Send + Sync + 'static,
    ) {
        self.lanes.watch(name, waiting, expected_wait);
    }

    /// The metrics of one caller of the database: a lane or another part of the storage.
    #[must_use]
    pub fn hung_calls(&self, caller: &'static str) -> HungCalls {
        HungCalls::new(&self.hung_calls, caller)
    }

    /// Reads the value of `db_up` at each scrape.
    pub fn watch_database(&self, is_up: impl Fn() -> bool + Send + Sync + 'static) {
        self.database_up.add(&[], move || f64::from(u8::from(is_up())));
    }

    /// Reads the value of `db_failing` for this check at each scrape.
    pub fn watch_check(&self, check: &str, fails: impl Fn() -> bool + Send + Sync + 'static) {
        self.database_failing.add(&[check], move || f64::from(u8::from(fails())));
    }

    /// The metrics of the pool of database connections.
    #[must_use]
    pub fn pool(&self) -> &PoolMetrics {
        &self.pool
    }

    /// The metrics of the user cache.
    #[must_use]
    pub fn user_cache(&self) -> &UserCacheMetrics {
        &self.user_cache
    }

    /// The metrics of imports.
    #[must_use]
    pub fn imports(&self) -> &ImportMetrics {
        &self.imports
    }

    /// The metrics of idempotency keys.
    #[must_use]
    pub fn idempotency(&self) -> &IdempotencyMetrics {
        &self.idempotency
    }

    /// The metrics of requests with an invalid or missing token.
    #[must_use]
    pub fn auth_failures(&self) -> &AuthFailures {
        &self.auth_failures
    }

    /// The metrics of events.
    #[must_use]
    pub fn events(&self) -> &EventMetrics {
        &self.events
    }

    /// The metrics of exports.
    #[must_use]
    pub fn exports(&self) -> &ExportMetrics {
        &self.exports
    }

    /// The metrics of fetches of an issuer's keys.
    #[must_use]
    pub fn jwks_refreshes(&self) -> &JwksRefreshes {
        &self.jwks_refreshes
    }
}

const DATABASE_UP: &str = "Whether the database can do what requests need, as /ready tells it: 1 or 0.";
const DATABASE_FAILING: &str = "What stands in the way if it cannot, as /ready names it: 1 for that, 0 for all else.";
const BUILD_INFO: &str = "What runs here; always 1.";
