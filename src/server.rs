//! Binds, wires, runs and drains: the only file that knows every other.
//!
//! **Shutdown** ends things in the order in which requests pass through them, each step bounded by `SHUTDOWN_GRACE`:
//!
//! 1. `/ready` turns 503, gRPC's health `NOT_SERVING`, live streams end, and responses close their connections, for
//!    `SHUTDOWN_DELAY`, so that load balancers notice.
//! 2. New connections are refused, and in-flight requests are answered.
//! 3. Each actor receives a last message, `Stop`, behind everything in its mailbox, and ends.
//! 4. The relay stores the published offset, and gives up the lead.
//! 5. The last spans go to the collector.
//! 6. All calls to the database must have ended.
//!
//! The exit code is 1 if something had not ended, or an abandoned call still hangs. Nothing waits for threads that may
//! hang: the runtime, which would wait for them when it is dropped, is never dropped.

use std::io;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use actix_server::{Server, ServerBuilder, ServerHandle};
use actix_service::ServiceFactory;
use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::{App, web};
use tokio::signal::unix::{self, Signal, SignalKind};
use tokio::task::JoinHandle;

use crate::auth::{self, Gate, KeyError, KeySource, RateLimit, Verifier};
use crate::config::{Config, ShutdownSettings};
use crate::events::{self, Feed, Relay};
use crate::grpc::{self, Calls, Users};
use crate::http::{self, BodyLimits, Observe, Origins};
use crate::lambda::{self, RuntimeApi};
use crate::metrics::Metrics;
use crate::net::{self, ConnectionSlots, Draining, ListenError, Tls};
use crate::service::{self, Exports, Imports};
use crate::signals;
use crate::storage::{self, AttributesSchemaFile, Readiness, Storage};
use crate::telemetry::{Traces, TracesError};

/// How long the last spans may take to reach the collector.
const LAST_SPANS_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a start on Lambda may wait for the database: well within the 10 s after which Lambda starts over.
const COLD_START_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest pause after which connections are still trusted. A frozen process sends no keep-alives, and some
/// networks forget connections after minutes.
const MAX_TRUSTED_PAUSE: Duration = Duration::from_secs(10);
/// How long the first request after a pause may wait for a check of the database.
const WAKE_TIMEOUT: Duration = Duration::from_secs(1);

/// Why the service could not start, or did not end in order.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Start(#[from] io::Error),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Traces(#[from] TracesError),
    #[error("cannot register the metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    #[error("not everything had ended within SHUTDOWN_GRACE")]
    Grace,
    #[error("cannot serve AWS Lambda: {0}")]
    Lambda(#[from] lambda::Error),
}

/// Runs the service: on AWS Lambda for the Runtime API, otherwise for clients that connect.
///
/// # Errors
/// When it cannot start, or cannot end within its grace period.
pub async fn serve(config: Config) -> Result<(), ServeError> {
    match config.lambda.clone() {
        Some(runtime_api) => serve_lambda(runtime_api, &config).await,
        None => serve_connections(&config).await,
    }
}

/// Serves until SIGTERM or SIGINT, then shuts down in order. A second signal ends the process at once.
async fn serve_connections(config: &Config) -> Result<(), ServeError> {
    let mut signal = signals::watch(config.shutdown.grace)?;
    open_enough_files(config);
    let (tls, schema) = (config.http.tls.clone(), config.storage.attributes_schema.clone());
    actix_rt::spawn(reload_on_hangup(tls, schema, unix::signal(SignalKind::hangup())?));
    let (components, running) = Components::start(config)?;
    let Components { storage, metrics, traces, draining, .. } = components.clone();
    let relay = config.events.relay.clone();
    let relay = relay.map(|relay| Relay::start(relay, storage.events(), metrics.events().clone())).transpose()?;
    events::start(storage.events(), metrics.events(), &config.events);
    actix_rt::spawn(service::prune_keys(storage.clone(), config.idempotency));
    actix_rt::spawn(service::prune_imports(storage.clone()));
    let server = listen(config, &components)?;
    let handle = server.handle();
    let mut serving = actix_rt::spawn(server);

    tokio::select! {
        ended = &mut serving => return ended.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(Into::into),
        name = &mut signal => log::info!("{}: shutting down; a second signal ends at once", name.unwrap_or("no signals")),
    }
    draining.begin();
    shut_down(config.shutdown, &handle, serving, Background { running, relay, traces, storage }).await
}

/// Serves until Lambda ends the process, which is frozen between requests. So background work, the relay and the
/// pruning of events and keys, is left to replicas that keep running.
async fn serve_lambda(runtime_api: RuntimeApi, config: &Config) -> Result<(), ServeError> {
    let (components, _running) = Components::start(config)?;
    let checked = tokio::time::timeout(COLD_START_TIMEOUT, wait_until_ready(&components.storage)).await;
    log::info!("serving AWS Lambda{}", if checked.is_ok() { "" } else { ", although the database is not ready" });
    let (storage, traces) = (components.storage.clone(), components.traces.clone());
    let wake = async |pause| wake(&storage, pause).await;
    Ok(lambda::run(runtime_api, RestApp::new(&config.http, components).application(), traces, wake).await?)
}

/// Prepares for a request after the process was frozen: its connections may have been lost silently, and its knowledge
/// of the database is old.
async fn wake(storage: &Storage, pause: Duration) {
    if pause > MAX_TRUSTED_PAUSE {
        storage.replace_connections();
    }
    if pause > Duration::from_secs(1) {
        let _ = tokio::time::timeout(WAKE_TIMEOUT, wait_until_ready(storage)).await;
    }
}

async fn wait_until_ready(storage: &Storage) {
    while storage.readiness() != Readiness::Ready {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// What the routes and gRPC methods use. Clones share it.
#[derive(Clone)]
struct Components {
    storage: Storage,
    feed: Feed,
    /// `None` on AWS Lambda, which passes on no streams.
    exports: Option<Exports>,
    /// The same.
    imports: Option<Imports>,
    gate: Gate,
    metrics: Metrics,
    traces: Traces,
    draining: Draining,
}

impl Components {
    /// Starts the components, and the threads behind the storage.
    fn start(config: &Config) -> Result<(Self, storage::Running), ServeError> {
        let traces = Traces::start(config.telemetry.traces.as_ref())?;
        let metrics = Metrics::new(config.storage.url.kind())?;
        let verifier = Verifier::new(&config.auth, metrics.jwks_refreshes())?;
        let gate = Gate::new(verifier, rate_limit(&config.auth), &metrics);
        let (storage, running) = Storage::start(&config.storage, &metrics)?;
        let feed = Feed::start(&config.events, storage.events(), metrics.events());
        let exports = config.lambda.is_none().then(|| Exports::new(metrics.exports()));
        let imports = config.lambda.is_none().then(|| Imports::new(metrics.imports()));
        let draining = Draining::default();
        Ok((Self { storage, feed, exports, imports, gate, metrics, traces, draining }, running))
    }
}

/// One server for both protocols: each worker serves connections of either.
fn listen(config: &Config, components: &Components) -> Result<Server, ServeError> {
    let settings = &config.http;
    let slots = ConnectionSlots::new(settings.max_connections);
    let server = ServerBuilder::new()
        .workers(settings.workers)
        .max_concurrent_connections(slots.per_worker(settings.workers))
        // The shutdown has its own bound, counted from its beginning.
        .shutdown_timeout(config.shutdown.grace.as_secs() + 1)
        .disable_signals();
    let server = listen_grpc(server, &config.grpc, &slots, components.clone())?;
    let server = listen_http(server, config, &slots, components.clone())?;
    Ok(server.run())
}

/// The HTTP application. Each worker has its own, with the same components.
#[derive(Clone)]
struct RestApp {
    components: Components,
    limits: BodyLimits,
    observe: Observe,
    origins: Origins,
}

impl RestApp {
    fn new(settings: &http::Settings, components: Components) -> Self {
        let observe = Observe::new(
            &components.metrics,
            components.traces.clone(),
            components.draining.clone(),
            settings.observe(),
        );
        Self { components, limits: settings.body_limits(), observe, origins: settings.origins.clone() }
    }

    fn application(
        &self,
    ) -> App<
        impl ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<BoxBody>,
            Error = actix_web::Error,
            InitError = (),
        > + use<>,
    > {
        let Components { storage, feed, exports, imports, gate, metrics, draining, .. } = self.components.clone();
        App::new()
            .wrap(http::cors(&self.origins))
            .wrap(self.observe.clone())
            .app_data(web::Data::new(storage))
            .app_data(web::Data::new(metrics.clone()))
            .app_data(web::Data::new(feed))
            .app_data(web::Data::new(draining))
            .app_data(web::PayloadConfig::new(self.limits.max_bytes))
            .app_data(self.limits)
            .configure(|config| {
                if let Some(exports) = exports {
                    config.app_data(web::Data::new(exports));
                }
                if let Some(imports) = imports {
                    config.app_data(web::Data::new(imports));
                }
                http::routes(config, &metrics, &gate);
            })
    }
}

fn listen_http(
    server: ServerBuilder,
    config: &Config,
    slots: &ConnectionSlots,
    components: Components,
) -> Result<ServerBuilder, ServeError> {
    let settings = &config.http;
    let app = RestApp::new(settings, components);
    let sockets = net::bind(&settings.host, settings.port)?;
    let scheme = if settings.over_tls { "https" } else { "http" };
    for address in sockets.iter().map(TcpListener::local_addr) {
        let url = format!("{scheme}://{}", address?);
        log::info!("listening on {url}; {}", how_to_call(&config.auth.key, &url));
    }
    Ok(http::listen(server, sockets, &settings.connection(), slots, move || app.application())?)
}

fn listen_grpc(
    server: ServerBuilder,
    settings: &grpc::Settings,
    slots: &ConnectionSlots,
    components: Components,
) -> Result<ServerBuilder, ServeError> {
    let Components { storage, feed, gate, metrics, traces, draining, .. } = components;
    let users = Users { storage, feed, draining };
    let calls = Calls::new(settings, users, gate, &metrics, traces)?;
    let sockets = net::bind(&settings.host, settings.port)?;
    for address in sockets.iter().map(TcpListener::local_addr) {
        log::info!("gRPC on {}", address?);
    }
    Ok(grpc::listen(server, sockets, settings, slots, &calls)?)
}

fn rate_limit(settings: &auth::Settings) -> Option<RateLimit> {
    let (per_second, burst) = settings.rate_limit?;
    let rate_limit = RateLimit::new(per_second, burst);
    actix_rt::spawn(rate_limit.clone().remove_idle_clients());
    Some(rate_limit)
}

fn open_enough_files(config: &Config) {
    /// File descriptors for anything but connections.
    const OTHERS: u64 = 50;
    let (connections, pool) = (config.http.max_connections as u64, u64::from(config.storage.pool_size));
    let needed = connections + ConnectionSlots::RESERVE as u64 + pool + OTHERS;
    if let Some(limit) = net::raise_open_files().filter(|limit| *limit < needed) {
        log::warn!("no more than {limit} files may be open: too few for a MAX_CONNECTIONS of {connections}");
    }
}

/// Reloads the certificate at every SIGHUP. Unhandled, the signal would end the process.
async fn reload_on_hangup(tls: Option<Tls>, schema: Option<AttributesSchemaFile>, mut hangups: Signal) {
    while hangups.recv().await.is_some() {
        match schema.as_ref().map(AttributesSchemaFile::reload) {
            Some(Ok(())) => log::info!("SIGHUP: took the schema for attributes that is there now"),
            Some(Err(error)) => log::error!("SIGHUP: the schema for attributes stays as it was: its file {error}"),
            None => {}
        }
        match tls.as_ref().map(Tls::reload) {
            Some(Ok(())) => log::info!("SIGHUP: took the certificate that is there now"),
            Some(Err(error)) => log::error!("SIGHUP: the certificate stays as it was: {error}"),
            None if schema.is_none() => log::info!("SIGHUP: there is nothing to reload"),
            None => {}
        }
    }
}

/// A command to paste into a shell.
fn how_to_call(key: &KeySource, url: &str) -> String {
    let token = match key {
        KeySource::PublicKey(_) | KeySource::Issuer(_) | KeySource::Unset => "$TOKEN".to_owned(),
        KeySource::Secret(_) | KeySource::LocalSecret(_) => {
            let program = std::env::args().next().unwrap_or_else(|| "user-service".to_owned());
            format!("$({program} token --subject me --scope 'users:read users:write')")
        }
    };
    format!(r#"try: curl -i {url}/api/v2/users -H "Authorization: Bearer {token}""#)
}

/// What runs in the background of requests.
struct Background {
    running: storage::Running,
    relay: Option<Relay>,
    traces: Traces,
    storage: Storage,
}

impl Background {
    /// Stops everything in order. Returns false if something had not ended by `end`. Blocks.
    fn stop(self, end: Instant) -> bool {
        let left = || end.saturating_duration_since(Instant::now());
        let actors = self.running.stop(left());
        let relay = self.relay.is_none_or(|relay| relay.stop(left()));
        self.traces.shutdown(LAST_SPANS_TIMEOUT.min(left()));
        let is_idle = self.storage.wait_until_idle(left());
        actors && relay && is_idle
    }
}

/// Shuts down in order: new requests, in-flight requests, their writes in the mailboxes, the relay of their events, and
/// the last spans.
async fn shut_down(
    settings: ShutdownSettings,
    handle: &ServerHandle,
    serving: JoinHandle<io::Result<()>>,
    background: Background,
) -> Result<(), ServeError> {
    let end = Instant::now() + settings.grace;
    tokio::time::sleep(settings.delay).await;
    let in_time = tokio::time::timeout_at(end.into(), handle.stop(true)).await.is_ok();
    // Connections that are still open end with the process.
    serving.abort();
    let stopped = actix_rt::task::spawn_blocking(move || background.stop(end)).await.unwrap_or(false);
    if in_time && stopped { Ok(()) } else { Err(ServeError::Grace) }
}
