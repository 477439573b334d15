//! The keys that an issuer publishes (JWK set, RFC 7517), fetched in the background.

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

use super::{Denied, JwksSettings, PublicKey};
use crate::metrics::JwksRefreshes;
use crate::proxy::proxy_for;

/// How long one attempt may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The largest set that is read, in bytes. Issuers have a handful of keys.
const MAX_SIZE: u64 = 1 << 20;
/// The shortest time between two attempts that tokens give rise to: whoever invents key ids must not press the issuer.
const PAUSE: Duration = Duration::from_secs(10);
/// After a failure it is tried again sooner than usual: first after this, then after twice as long each time.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// An issuer's keys, as they were last seen. Clones share them.
#[derive(Clone)]
pub(super) struct Jwks(Arc<Shared>);

struct Shared {
    keys: RwLock<Arc<Keys>>,
    generation: AtomicU64,
    attempts: watch::Sender<Attempts>,
    wish: SyncSender<()>,
}

/// The keys of one time.
#[derive(Default)]
pub(super) struct Keys {
    /// Changes with the keys, so that what was verified with others is not believed any more. 0 until there are any.
    pub(super) generation: u64,
    /// With their ids. None until the first set was seen.
    keys: Vec<(Option<String>, PublicKey)>,
}

impl Keys {
    /// The key of this id; without one, the only key there is. Keys of several kinds may share an id (RFC 7517, 4.5): of those,
    /// the one that fits the algorithm.
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
enum Attempts {
    Running,
    Ended(Instant),
}

impl Jwks {
    /// Begins to fetch the keys, and goes on to for as long as the process lives.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(super) fn start(settings: &JwksSettings, refreshes: &JwksRefreshes) -> io::Result<Self> {
        let (wish, wishes) = sync_channel(1);
        let attempts = watch::Sender::new(Attempts::Running);
        let jwks = Self(Arc::new(Shared { keys: RwLock::default(), generation: AtomicU64::new(0), attempts, wish }));
        let issuer = Issuer {
            agent: agent(&settings.url),
            settings: settings.clone(),
            jwks: jwks.clone(),
            seen: Vec::new(),
            refreshes: refreshes.clone(),
        };
        thread::Builder::new().name("jwks".to_owned()).spawn(move || issuer.follow(&wishes))?;
        Ok(jwks)
    }

    pub(super) fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.0.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// That of the keys.
    pub(super) fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }

    /// The end of an attempt to fetch the keys, for whoever has not found one: of one that runs, or of a new one. `None`
    /// when the last one has ended only just now.
    pub(super) fn refresh(&self) -> Option<impl Future<Output = ()> + use<>> {
        let mut attempts = self.0.attempts.subscribe();
        if let Attempts::Ended(at) = *attempts.borrow_and_update() {
            if at.elapsed() < PAUSE {
                return None;
            }
            // If there is a wish already, it stands for this one too.
            let _ = self.0.wish.try_send(());
        }
        Some(async move {
            let ended = attempts.wait_for(|attempts| matches!(attempts, Attempts::Ended(at) if at.elapsed() < PAUSE));
            // An attempt is over by then, whatever became of it.
            let _ = tokio::time::timeout(2 * TIMEOUT, ended).await;
        })
    }
}

/// The thread that fetches.
struct Issuer {
    agent: Agent,
    settings: JwksSettings,
    jwks: Jwks,
    /// What the issuer sent last.
    seen: Vec<u8>,
    refreshes: JwksRefreshes,
}

impl Issuer {
    fn follow(mut self, wishes: &Receiver<()>) {
        let mut retry = FIRST_RETRY;
        let mut was_well = true;
        loop {
            self.jwks.0.attempts.send_replace(Attempts::Running);
            // A panic must not end the thread: the keys would stay as they are for ever.
            let result = catch_unwind(AssertUnwindSafe(|| self.fetch())).unwrap_or(Err(FetchError::Panic));
            match &result {
                Ok(()) if !was_well => log::info!("the keys of {} can be fetched again", self.settings),
                Err(error) if was_well => log::warn!("cannot fetch the keys of {}: {error}", self.settings),
                _ => {}
            }
            was_well = result.is_ok();
            self.refreshes.count(was_well);
            let rest = if was_well { self.settings.refresh } else { retry };
            retry = if was_well { FIRST_RETRY } else { (2 * retry).min(self.settings.refresh) };
            // What was wished for meanwhile is fulfilled.
            let _ = wishes.try_recv();
            self.jwks.0.attempts.send_replace(Attempts::Ended(Instant::now()));
            let _ = wishes.recv_timeout(rest);
        }
    }

    fn fetch(&mut self) -> Result<(), FetchError> {
        let mut response = self.agent.get(self.settings.url.as_str()).call()?;
        let body = response.body_mut().with_config().limit(MAX_SIZE).read_to_vec()?;
        if body == self.seen {
            return Ok(());
        }
        let keys = parse(&body)?;
        if keys.is_empty() {
            log::warn!("{} publishes no key that can be used: no token is believed", self.settings);
        } else {
            log::info!("{} publishes {} keys that can be used", self.settings, keys.len());
        }
        self.seen = body;
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

/// Not the library's type, which takes no set with a key that it does not know.
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
        // The system's, or what SSL_CERT_FILE names.
        .root_certs(RootCerts::PlatformVerifier)
        .build();
    let config = Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .max_redirects(3)
        // A redirect must not lead out of TLS.
        .https_only(url.scheme() == "https")
        .proxy(proxy_for(url))
        .tls_config(tls);
    config.build().into()
}
