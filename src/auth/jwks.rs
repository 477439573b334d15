//! Fetches the keys that an issuer publishes (JWK set, RFC 7517) in the background.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use std::{io, thread};

use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::Jwk;
use serde::Deserialize;
use tokio::sync::watch;
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};
use url::Url;

use super::denied::Denied;
use super::public_key::PublicKey;
use super::settings::JwksSettings;
use crate::metrics::JwksRefreshes;
use crate::proxy::proxy_for;

/// The timeout of one fetch.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The largest key set that is accepted, in bytes. Issuers publish a handful of keys.
const MAX_SIZE: u64 = 1 << 20;
/// The shortest interval between two fetches that unknown key ids cause: a client that invents key ids must not flood
/// the issuer.
const MIN_INTERVAL: Duration = Duration::from_secs(10);
/// The pause after the first failed fetch. It doubles with each further failure, up to the usual interval.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// An issuer's keys as of the last fetch. Clones share them.
#[derive(Clone)]
pub(super) struct Jwks(Arc<Shared>);

struct Shared {
    keys: RwLock<Arc<Keys>>,
    generation: AtomicU64,
    fetches: watch::Sender<FetchState>,
    requests: SyncSender<()>,
}

/// A key set.
#[derive(Default)]
pub(super) struct Keys {
    /// Changes whenever the keys do, which invalidates tokens that were verified with earlier keys. 0 before the first
    /// fetch.
    pub(super) generation: u64,
    /// The keys and their ids. Empty before the first fetch.
    keys: Vec<(Option<String>, PublicKey)>,
}

impl Keys {
    /// Finds the key with this id, or the only key if the token names none. Keys of different types may share an id
    /// (RFC 7517, 4.5); then the algorithm decides.
    pub(super) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<&PublicKey, Denied> {
        let found = match (kid, self.keys.as_slice()) {
            _ if self.generation == 0 => return Err(Denied::NoKeys),
            (None, [only]) => Some(only),
            (None, _) => None,
            (Some(_), keys) => {
                let mut named = keys.iter().filter(|(other, _)| other.as_deref() == kid);
                let first = named.clone().next();
                named.find(|(_, key)| key.algorithm == algorithm).or(first)
            }
        };
        found.map(|(_, key)| key).ok_or(Denied::UnknownKey)
    }
}

#[derive(Clone, Copy)]
enum FetchState {
    Running,
    Ended(Instant),
}

impl Jwks {
    /// Starts a thread that fetches the keys for as long as the process lives.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(super) fn start(settings: &JwksSettings, refreshes: &JwksRefreshes) -> io::Result<Self> {
        let (requests, requested) = sync_channel(1);
        let fetches = watch::Sender::new(FetchState::Running);
        let jwks = Self(Arc::new(Shared { keys: RwLock::default(), generation: AtomicU64::new(0), fetches, requests }));
        let issuer = Issuer {
            agent: agent(&settings.url),
            settings: settings.clone(),
            jwks: jwks.clone(),
            last_body: Vec::new(),
            refreshes: refreshes.clone(),
        };
        thread::Builder::new().name("jwks".to_owned()).spawn(move || issuer.follow(&requested))?;
        Ok(jwks)
    }

    pub(super) fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.0.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The current generation of the keys.
    pub(super) fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }

    /// Completes when the running fetch ends, or else a new one. `None` if the last fetch has only just ended, so that
    /// a new one would not help.
    pub(super) fn refresh(&self) -> Option<impl Future<Output = ()> + use<>> {
        let mut fetches = self.0.fetches.subscribe();
        if let FetchState::Ended(at) = *fetches.borrow_and_update() {
            if at.elapsed() < MIN_INTERVAL {
                return None;
            }
            // If the channel is full, a fetch is requested already.
            let _ = self.0.requests.try_send(());
        }
        Some(async move {
            let ended =
                fetches.wait_for(|fetches| matches!(fetches, FetchState::Ended(at) if at.elapsed() < MIN_INTERVAL));
            // A timeout means that the fetch has failed.
            let _ = tokio::time::timeout(2 * TIMEOUT, ended).await;
        })
    }
}

/// The thread that fetches the keys.
struct Issuer {
    agent: Agent,
    settings: JwksSettings,
    jwks: Jwks,
    /// The last response that was accepted.
    last_body: Vec<u8>,
    refreshes: JwksRefreshes,
}

impl Issuer {
    fn follow(mut self, requested: &Receiver<()>) {
        let mut retry = FIRST_RETRY;
        let mut succeeded = true;
        loop {
            self.jwks.0.fetches.send_replace(FetchState::Running);
            // A panic must not end the thread, or the keys would never be updated again.
            let result = catch_unwind(AssertUnwindSafe(|| self.fetch())).unwrap_or(Err(FetchError::Panic));
            match &result {
                Ok(()) if !succeeded => log::info!("the keys of {} can be fetched again", self.settings),
                Err(error) if succeeded => log::warn!("cannot fetch the keys of {}: {error}", self.settings),
                _ => {}
            }
            succeeded = result.is_ok();
            self.refreshes.count(succeeded);
            let pause = if succeeded { self.settings.refresh } else { retry };
            retry = if succeeded { FIRST_RETRY } else { (2 * retry).min(self.settings.refresh) };
            // This fetch also serves the requests that arrived meanwhile.
            let _ = requested.try_recv();
            self.jwks.0.fetches.send_replace(FetchState::Ended(Instant::now()));
            let _ = requested.recv_timeout(pause);
        }
    }

    fn fetch(&mut self) -> Result<(), FetchError> {
        let mut response = self.agent.get(self.settings.url.as_str()).call()?;
        let body = response.body_mut().with_config().limit(MAX_SIZE).read_to_vec()?;
        if body == self.last_body {
            return Ok(());
        }
        let keys = parse(&body)?;
        if keys.is_empty() {
            log::warn!("{} publishes no key that can be used: no token is believed", self.settings);
        } else {
            log::info!("{} publishes {} keys that can be used", self.settings, keys.len());
        }
        self.last_body = body;
        let Shared { keys: current, generation, .. } = &*self.jwks.0;
        let next = generation.load(Ordering::Acquire) + 1;
        *current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Keys { generation: next, keys });
        generation.store(next, Ordering::Release);
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Http(#[from] ureq::Error),
    #[error("it is no JWK set")]
    Format(#[from] serde_json::Error),
    #[error("panicked")]
    Panic,
}

/// Not jsonwebtoken's type, which rejects a whole set if it contains a key of an unknown type.
#[derive(Deserialize)]
struct Set {
    keys: Vec<serde_json::Value>,
}

fn parse(body: &[u8]) -> Result<Vec<(Option<String>, PublicKey)>, FetchError> {
    let set: Set = serde_json::from_slice(body)?;
    let usable = |jwk: serde_json::Value| {
        let jwk: Jwk = serde_json::from_value(jwk).ok()?;
        let key = PublicKey::from_jwk(&jwk)?;
        Some((jwk.common.key_id, key))
    };
    Ok(set.keys.into_iter().filter_map(usable).collect())
}

fn agent(url: &Url) -> Agent {
    let tls = TlsConfig::builder()
        // The system's certificates, or those in SSL_CERT_FILE.
        .root_certs(RootCerts::PlatformVerifier)
        .build();
    let config = Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .max_redirects(3)
        // A redirect must not downgrade to plain HTTP.
        .https_only(url.scheme() == "https")
        .proxy(proxy_for(url))
        .tls_config(tls);
    config.build().into()
}
