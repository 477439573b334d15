//! Binds, wires, runs and drains: the only file that knows every other.

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
use crate::signals;
use crate::storage::{self, Readiness, Storage};
use crate::telemetry::{Traces, TracesError};

/// How long the last spans may take to reach their collector.
const LAST_SPANS: Duration = Duration::from_secs(1);
/// How long a start on Lambda may wait for the database: well within the 10 s after which Lambda begins anew.
const COLD_START: Duration = Duration::from_secs(5);
/// How long a connection is good for that a frozen process could not keep alive: networks forget some after minutes.
const TRUSTED_FOR: Duration = Duration::from_secs(10);
/// How long the first request after a pause may wait for a look at the database.
const TRUSTED_WITHIN: Duration = Duration::from_secs(1);

/// Why the service did not run, or did not end well.
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

/// Runs the service: on AWS Lambda for what that asks, else for whoever connects.
///
/// # Errors
/// When it cannot start, or cannot end within its grace.
pub async fn serve(config: Config) -> Result<(), ServeError> {
    match config.lambda.clone() {
        Some(runtime_api) => serve_lambda(runtime_api, &config).await,
        None => serve_connections(&config).await,
    }
}

/// Until SIGTERM or SIGINT, and ends in order. A second signal ends the process at once.
async fn serve_connections(config: &Config) -> Result<(), ServeError> {
    let mut signal = signals::first(config.shutdown.grace)?;
    open_enough_files(config);
    actix_web::rt::spawn(reload_on_hangup(config.http.tls.clone(), unix::signal(SignalKind::hangup())?));
    let (parts, running) = Parts::start(config)?;
    let Parts { storage, metrics, traces, draining, .. } = parts.clone();
    let relay = config.events.relay.clone();
    let relay = relay.map(|relay| Relay::start(relay, storage.events(), metrics.events().clone())).transpose()?;
    events::start(storage.events(), metrics.events(), &config.events);
    let server = listen(config, &parts)?;
    let handle = server.handle();
    let mut serving = actix_web::rt::spawn(server);

    tokio::select! {
        ended = &mut serving => return ended.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(Into::into),
        name = &mut signal => log::info!("{}: shutting down; a second signal ends at once", name.unwrap_or("no signals")),
    }
    draining.begin();
    drain(config.shutdown, &handle, serving, Behind { running, relay, traces, storage }).await
}

/// Until Lambda ends the process, which is frozen whenever nothing is asked: whatever goes on by itself, the relay of
/// events and their pruning, is left to a replica that runs.
async fn serve_lambda(runtime_api: RuntimeApi, config: &Config) -> Result<(), ServeError> {
    let (parts, _running) = Parts::start(config)?;
    let looked = tokio::time::timeout(COLD_START, ready(&parts.storage)).await;
    log::info!("serving AWS Lambda{}", if looked.is_ok() { "" } else { ", although the database is not ready" });
    let (storage, traces) = (parts.storage.clone(), parts.traces.clone());
    let wake = async |pause| wake(&storage, pause).await;
    Ok(lambda::run(runtime_api, Rest::new(&config.http, parts).application(), traces, wake).await?)
}

/// After a pause in which the process was frozen: its connections may have been lost without a word, and what it knew of the
/// database is old.
async fn wake(storage: &Storage, pause: Duration) {
    if pause > TRUSTED_FOR {
        storage.distrust_connections();
    }
    if pause > Duration::from_secs(1) {
        let _ = tokio::time::timeout(TRUSTED_WITHIN, ready(storage)).await;
    }
}

async fn ready(storage: &Storage) {
    while storage.readiness() != Readiness::Ready {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// What all that can be asked answers with. Clones share all of it.
#[derive(Clone)]
struct Parts {
    storage: Storage,
    feed: Feed,
    gate: Gate,
    metrics: Metrics,
    traces: Traces,
    draining: Draining,
}

impl Parts {
    /// Starts them; besides, the threads behind the storage.
    fn start(config: &Config) -> Result<(Self, storage::Running), ServeError> {
        let traces = Traces::start(config.telemetry.traces.as_ref())?;
        let metrics = Metrics::new(config.storage.url.kind())?;
        let verifier = Verifier::new(&config.auth, metrics.jwks_refreshes())?;
        let gate = Gate::new(verifier, rate_limit(&config.auth), &metrics);
        let (storage, running) = Storage::start(&config.storage, &metrics)?;
        let feed = Feed::start(&config.events, storage.events(), metrics.events());
        Ok((Self { storage, feed, gate, metrics, traces, draining: Draining::default() }, running))
    }
}

/// One server for both protocols: its workers serve whatever connects.
fn listen(config: &Config, parts: &Parts) -> Result<Server, ServeError> {
    let settings = &config.http;
    let slots = ConnectionSlots::new(settings.max_connections);
    let server = ServerBuilder::new()
        .workers(settings.workers)
        .max_concurrent_connections(slots.per_worker(settings.workers))
        // The drain has a bound of its own, counted from its beginning.
        .shutdown_timeout(config.shutdown.grace.as_secs() + 1)
        .disable_signals();
    let server = listen_grpc(server, &config.grpc, &slots, parts.clone())?;
    let server = listen_http(server, config, &slots, parts.clone())?;
    Ok(server.run())
}

/// What answers HTTP: each worker has its own, all of the same parts.
#[derive(Clone)]
struct Rest {
    parts: Parts,
    limits: BodyLimits,
    observe: Observe,
    origins: Origins,
}

impl Rest {
    fn new(settings: &http::Settings, parts: Parts) -> Self {
        let observe = Observe::new(&parts.metrics, parts.traces.clone(), parts.draining.clone(), settings.observe());
        Self { parts, limits: settings.body_limits(), observe, origins: settings.origins.clone() }
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
        let Parts { storage, feed, gate, metrics, draining, .. } = self.parts.clone();
        App::new()
            .wrap(http::cors(&self.origins))
            .wrap(self.observe.clone())
            .app_data(web::Data::new(storage))
            .app_data(web::Data::new(metrics.clone()))
            .app_data(web::Data::new(feed))
            .app_data(web::Data::new(draining))
            .app_data(web::PayloadConfig::new(self.limits.max_bytes))
            .app_data(self.limits)
            .configure(|config| http::routes(config, &metrics, &gate))
    }
}

fn listen_http(
    server: ServerBuilder,
    config: &Config,
    slots: &ConnectionSlots,
    parts: Parts,
) -> Result<ServerBuilder, ServeError> {
    let settings = &config.http;
    let rest = Rest::new(settings, parts);
    let sockets = net::bind(&settings.host, settings.port)?;
    let scheme = if settings.over_tls { "https" } else { "http" };
    for address in sockets.iter().map(TcpListener::local_addr) {
        let url = format!("{scheme}://{}", address?);
        log::info!("listening on {url}; {}", how_to_call(&config.auth.key, &url));
    }
    Ok(http::listen(server, sockets, &settings.connection(), slots, move || rest.application())?)
}

fn listen_grpc(
    server: ServerBuilder,
    settings: &grpc::Settings,
    slots: &ConnectionSlots,
    parts: Parts,
) -> Result<ServerBuilder, ServeError> {
    let Parts { storage, feed, gate, metrics, traces, draining } = parts;
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
    actix_web::rt::spawn(rate_limit.clone().forget_strangers());
    Some(rate_limit)
}

fn open_enough_files(config: &Config) {
    /// What is open besides connections.
    const OTHERS: u64 = 50;
    let (connections, pool) = (config.http.max_connections as u64, u64::from(config.storage.pool_size));
    let needed = connections + ConnectionSlots::RESERVE as u64 + pool + OTHERS;
    if let Some(limit) = net::raise_open_files().filter(|limit| *limit < needed) {
        log::warn!("no more than {limit} files may be open: too few for a MAX_CONNECTIONS of {connections}");
    }
}

/// Takes a new certificate whenever SIGHUP says that there is one. Left to itself, the signal would end the process at once.
async fn reload_on_hangup(tls: Option<Tls>, mut hangups: Signal) {
    while hangups.recv().await.is_some() {
        match tls.as_ref().map(Tls::reload) {
            Some(Ok(())) => log::info!("SIGHUP: took the certificate that is there now"),
            Some(Err(error)) => log::error!("SIGHUP: the certificate stays as it was: {error}"),
            None => log::info!("SIGHUP: there is nothing to reload"),
        }
    }
}

/// A line to paste into a shell.
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

/// What works behind the requests.
struct Behind {
    running: storage::Running,
    relay: Option<Relay>,
    traces: Traces,
    storage: Storage,
}

impl Behind {
    /// Ends all of it in order; false when something had not ended by then. Blocks.
    fn stop(self, end: Instant) -> bool {
        let left = || end.saturating_duration_since(Instant::now());
        let actors = self.running.stop(left());
        let relay = self.relay.is_none_or(|relay| relay.stop(left()));
        self.traces.shutdown(LAST_SPANS.min(left()));
        let rests = self.storage.rests(left());
        actors && relay && rests
    }
}

/// Ends what runs, in order: new requests, requests in flight, the writes that they left in the mailboxes, the relay of
/// their events, and the last spans.
async fn drain(
    settings: ShutdownSettings,
    handle: &ServerHandle,
    serving: JoinHandle<io::Result<()>>,
    behind: Behind,
) -> Result<(), ServeError> {
    let end = Instant::now() + settings.grace;
    tokio::time::sleep(settings.delay).await;
    let in_time = tokio::time::timeout_at(end.into(), handle.stop(true)).await.is_ok();
    // What has not ended by now ends with the process.
    serving.abort();
    let stopped = web::block(move || behind.stop(end)).await.unwrap_or(false);
    if in_time && stopped { Ok(()) } else { Err(ServeError::Grace) }
}
