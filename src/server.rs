//! Binds, wires, runs and drains: the only file that knows every other.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use actix_web::dev::{Server as HttpServerHandle, ServerHandle};
use actix_web::{App, HttpServer, web};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;

use crate::auth::{KeyError, KeySource, Verifier};
use crate::config::{Config, ShutdownSettings};
use crate::http::{self, BodyLimits, Draining, Observe};
use crate::metrics::Metrics;
use crate::storage::{self, Storage};

/// Why the service did not run, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("cannot listen on {address}: {cause}")]
    Bind { address: String, cause: io::Error },
    #[error(transparent)]
    Start(#[from] io::Error),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("cannot register the metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    #[error("not everything had ended within SHUTDOWN_GRACE")]
    Grace,
}

/// Runs the service until SIGTERM or SIGINT, and ends it in order. A second signal ends the process at once.
///
/// # Errors
/// When it cannot start, or cannot end within its grace.
pub async fn serve(config: Config) -> Result<(), ServeError> {
    let mut signals = Signals::new()?;
    let metrics = Metrics::new()?;
    let draining = Draining::default();
    let verifier = Verifier::new(&config.auth)?;
    let (storage, running) = Storage::start(&config.storage)?;
    let server = listen(&config, &verifier, &storage, &metrics, &draining)?;
    let handle = server.handle();
    let mut serving = actix_web::rt::spawn(server);

    tokio::select! {
        ended = &mut serving => return ended.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(Into::into),
        name = signals.next() => log::info!("{name}: shutting down; a second signal ends at once"),
    }
    draining.begin();
    actix_web::rt::spawn(async move {
        let name = signals.next().await;
        log::warn!("{name} again: ending at once");
        std::process::exit(1);
    });
    drain(config.shutdown, &handle, serving, running).await
}

fn listen(
    Config { http: settings, auth, shutdown, .. }: &Config,
    verifier: &Verifier,
    storage: &Storage,
    metrics: &Metrics,
    draining: &Draining,
) -> Result<HttpServerHandle, ServeError> {
    let limits = BodyLimits { max_bytes: settings.max_body_bytes, timeout: settings.body_timeout };
    let (verifier, storage) = (verifier.clone(), storage.clone());
    let (metrics, draining) = (metrics.clone(), draining.clone());
    let application = move || {
        App::new()
            .wrap(Observe::new(&metrics, draining.clone()))
            .app_data(web::Data::new(storage.clone()))
            .app_data(web::Data::new(metrics.clone()))
            .app_data(web::Data::new(draining.clone()))
            .app_data(web::PayloadConfig::new(limits.max_bytes))
            .app_data(limits)
            .configure(|config| http::routes(config, &metrics, &verifier))
    };
    let server = HttpServer::new(application)
        .workers(settings.workers)
        .max_connections(settings.max_connections.div_ceil(settings.workers))
        .client_request_timeout(settings.head_timeout)
        .keep_alive(settings.keep_alive)
        // A client that hung up must not leave its handler running.
        .h1_allow_half_closed(false)
        // The drain has a bound of its own, counted from its beginning.
        .shutdown_timeout(shutdown.grace.as_secs() + 1)
        .disable_signals();
    let address = format!("{}:{}", settings.host, settings.port);
    let server = server.bind(&address).map_err(|cause| ServeError::Bind { address, cause })?;
    for address in server.addrs() {
        log::info!("listening on http://{address}; {}", how_to_call(&auth.key, &address));
    }
    Ok(server.run())
}

/// A line to paste into a shell.
fn how_to_call(key: &KeySource, address: &SocketAddr) -> String {
    let token = match key {
        KeySource::PublicKey(_) | KeySource::Unset => "$TOKEN".to_owned(),
        KeySource::Secret(_) | KeySource::LocalSecret(_) => {
            let program = std::env::args().next().unwrap_or_else(|| "user-service".to_owned());
            format!("$({program} token --subject me --scope 'users:read users:write')")
        }
    };
    format!(r#"try: curl -i http://{address}/api/v2/users -H "Authorization: Bearer {token}""#)
}

/// Ends what runs, in order: new requests, requests in flight, and the writes that they left in the mailboxes.
async fn drain(
    settings: ShutdownSettings,
    handle: &ServerHandle,
    serving: JoinHandle<io::Result<()>>,
    running: storage::Running,
) -> Result<(), ServeError> {
    let end = Instant::now() + settings.grace;
    tokio::time::sleep(settings.delay).await;
    let in_time = tokio::time::timeout_at(end.into(), handle.stop(true)).await.is_ok();
    // What has not ended by now ends with the process.
    serving.abort();
    let patience = end.saturating_duration_since(Instant::now());
    let stopped = web::block(move || running.stop(patience)).await.unwrap_or(false);
    if in_time && stopped { Ok(()) } else { Err(ServeError::Grace) }
}

/// The signals that end the service.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
