//! Verifies tokens, and caches those that are valid.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, TokenData, Validation};
use quick_cache::sync::Cache;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::denied::Denied;
use super::jwks::Jwks;
use super::local_secret::{self, SecretFileError};
use super::public_key::PublicKey;
use super::scope::{Scope, Scopes};
use super::settings::{KeySource, Settings};
use crate::metrics::JwksRefreshes;

/// The longest token that is accepted, in bytes. Issuers stay far below.
const MAX_LENGTH: usize = 8 << 10;
/// The approximate capacity of the cache, in tokens. With tokens of maximum length it takes 8 MiB.
const CACHE_SIZE: usize = 1000;

/// Why there is no key to verify tokens with.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error(transparent)]
    LocalSecret(#[from] SecretFileError),
    #[error("cannot begin to fetch keys: {0}")]
    Fetch(#[from] std::io::Error),
    #[error("no key is configured")]
    Unset,
}

/// Verifies tokens. Clones share the keys and the cache.
#[derive(Clone)]
pub struct Verifier(Arc<Shared>);

struct Shared {
    keys: Keys,
    validation: Validation,
    verified: Cache<Box<str>, Verified>,
    callers: RandomState,
}

enum Keys {
    Fixed(DecodingKey),
    Published(Jwks),
}

/// Identifies a token's subject by its hash, since the subject may be personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Caller(u64);

/// The holder of a valid token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bearer {
    pub caller: Caller,
    /// The issuer and the subject, the same at every replica.
    pub id: [u8; 32],
    scopes: Scopes,
    /// When the token expires, leeway included. Seconds since 1970.
    valid_until: u64,
}

impl Bearer {
    /// Checks that the token has this scope.
    ///
    /// # Errors
    /// When the token lacks the scope.
    pub fn authorize(&self, scope: Scope) -> Result<(), Denied> {
        if self.scopes.contain(scope) { Ok(()) } else { Err(Denied::Scope(scope)) }
    }

    /// How long the token remains valid.
    #[must_use]
    pub fn time_left(&self) -> Duration {
        let end = UNIX_EPOCH.checked_add(Duration::from_secs(self.valid_until));
        end.map_or(Duration::MAX, |end| end.duration_since(SystemTime::now()).unwrap_or_default())
    }
}

/// A valid token in the cache.
#[derive(Clone, Copy)]
struct Verified {
    bearer: Bearer,
    /// The generation of the keys that verified the token.
    generation: u64,
    /// Seconds since 1970.
    expires: u64,
}

/// The [`validation`] detects missing claims.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Claims {
    /// RFC 7519 allows fractions of a second.
    exp: f64,
    /// Mostly a text, but some issuers write an array.
    iss: Value,
    sub: String,
    scope: String,
    aud: Option<IgnoredAny>,
}

impl Claims {
    fn caller_id(&self) -> [u8; 32] {
        let issuer = self.iss.to_string();
        // The length keeps both texts apart.
        let length = u64::try_from(issuer.len()).unwrap_or(u64::MAX);
        Sha256::new().chain_update(length.to_be_bytes()).chain_update(issuer).chain_update(&self.sub).finalize().into()
    }
}

impl Verifier {
    /// Loads the key, or starts fetching the keys.
    ///
    /// # Errors
    /// When the key cannot be loaded, or none is configured.
    pub fn new(settings: &Settings, refreshes: &JwksRefreshes) -> Result<Self, KeyError> {
        let (keys, algorithm) = keys(&settings.key, refreshes)?;
        let validation = validation(settings, algorithm);
        let (verified, callers) = (Cache::new(CACHE_SIZE), RandomState::new());
        Ok(Self(Arc::new(Shared { keys, validation, verified, callers })))
    }

    /// Verifies a token.
    ///
    /// # Errors
    /// When the token is invalid.
    pub fn authenticate(&self, token: &str) -> Result<Bearer, Denied> {
        let verified = self.cached(token).map_or_else(|| self.verify(token), Ok)?;
        Ok(verified.bearer)
    }

    /// After a token was denied for lack of a key: completes when the keys have been fetched, after which the caller
    /// may try again. `None` if that would not help.
    #[must_use]
    pub fn refresh(&self) -> Option<impl Future<Output = ()> + use<>> {
        match &self.0.keys {
            Keys::Fixed(_) => None,
            Keys::Published(jwks) => jwks.refresh(),
        }
    }

    fn cached(&self, token: &str) -> Option<Verified> {
        let generation = match &self.0.keys {
            Keys::Fixed(_) => FIXED,
            Keys::Published(jwks) => jwks.generation(),
        };
        let verified = self.0.verified.get(token)?;
        (verified.generation == generation && now() < verified.expires).then_some(verified)
    }

    fn verify(&self, token: &str) -> Result<Verified, Denied> {
        if token.len() > MAX_LENGTH {
            return Err(Denied::Malformed);
        }
        let (TokenData { header, claims, .. }, generation) = self.decode(token)?;
        // Extensions listed in `crit` must be understood (RFC 7515, 4.1.11). This verifier supports none.
        if header.crit.is_some() || claims.sub.is_empty() {
            return Err(Denied::Malformed);
        }
        // jsonwebtoken ignores an audience that is not a text. With a configured audience the claim is required, so it
        // cannot be ignored.
        if self.0.validation.aud.is_none() && claims.aud.is_some() {
            return Err(Denied::Audience);
        }
        let caller = Caller(self.0.callers.hash_one(&claims.sub));
        let expires = whole(claims.exp);
        let valid_until = expires.saturating_add(self.0.validation.leeway);
        // jsonwebtoken accepts the token up to two seconds longer, but a token must not be accepted on or after its
        // expiry (RFC 7519, 4.1.4).
        if now() >= valid_until {
            return Err(Denied::Expired);
        }
        let bearer = Bearer { caller, id: claims.caller_id(), scopes: Scopes::parse(&claims.scope), valid_until };
        let verified = Verified { bearer, generation, expires };
        self.0.verified.insert(token.into(), verified);
        Ok(verified)
    }

    fn decode(&self, token: &str) -> Result<(TokenData<Claims>, u64), Denied> {
        let decode = |key: &DecodingKey, validation: &Validation| {
            jsonwebtoken::decode(token, key, validation).map_err(|error| denied(error.kind()))
        };
        match &self.0.keys {
            Keys::Fixed(key) => Ok((decode(key, &self.0.validation)?, FIXED)),
            Keys::Published(jwks) => {
                let header = jsonwebtoken::decode_header(token).map_err(|error| denied(error.kind()))?;
                let keys = jwks.keys();
                let PublicKey { key, algorithm } = keys.find(header.kid.as_deref(), header.alg)?;
                let validation = Validation { algorithms: vec![*algorithm], ..self.0.validation.clone() };
                Ok((decode(key, &validation)?, keys.generation))
            }
        }
    }
}

/// The generation of a key that never changes.
const FIXED: u64 = 0;

fn keys(source: &KeySource, refreshes: &JwksRefreshes) -> Result<(Keys, Algorithm), KeyError> {
    let shared = |secret: &SecretString| {
        (Keys::Fixed(DecodingKey::from_secret(secret.expose_secret().as_bytes())), Algorithm::HS256)
    };
    match source {
        KeySource::Secret(secret) => Ok(shared(secret)),
        KeySource::LocalSecret(path) => Ok(shared(&local_secret::load_or_generate(path)?)),
        KeySource::PublicKey(public) => Ok((Keys::Fixed(public.key.clone()), public.algorithm)),
        // A placeholder: each key has its own algorithm.
        KeySource::Issuer(settings) => Ok((Keys::Published(Jwks::start(settings, refreshes)?), Algorithm::RS256)),
        KeySource::Unset => Err(KeyError::Unset),
    }
}

fn validation(settings: &Settings, algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.leeway = settings.leeway.as_secs();
    validation.validate_nbf = true;
    let mut required = vec!["exp", "sub"];
    if let Some(issuer) = &settings.issuer {
        validation.set_issuer(&[issuer]);
        required.push("iss");
    }
    // Without a configured audience, jsonwebtoken rejects tokens that name one (RFC 7519, 4.1.3).
    if let Some(audience) = &settings.audience {
        validation.set_audience(&[audience]);
        // Otherwise a token without an audience would be accepted.
        required.push("aud");
    }
    validation.set_required_spec_claims(&required);
    validation
}

fn denied(kind: &ErrorKind) -> Denied {
    match kind {
        ErrorKind::InvalidSignature | ErrorKind::InvalidAlgorithm => Denied::Signature,
        ErrorKind::ExpiredSignature => Denied::Expired,
        ErrorKind::ImmatureSignature => Denied::NotYetValid,
        ErrorKind::InvalidIssuer => Denied::Issuer,
        ErrorKind::InvalidAudience => Denied::Audience,
        ErrorKind::MissingRequiredClaim(_) => Denied::MissingClaim,
        _ => Denied::Malformed,
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(u64::MAX, |elapsed| elapsed.as_secs())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
const fn whole(seconds: f64) -> u64 {
    seconds as u64
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header};
    use serde_json::json;

    use super::*;
    use crate::auth::issue;
    use crate::metrics::Metrics;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn settings() -> Settings {
        let key = KeySource::Secret(SECRET.into());
        Settings { key, issuer: None, audience: None, leeway: Duration::ZERO, rate_limit: None }
    }

    fn verifier() -> Verifier {
        Verifier::new(&settings(), Metrics::new("sqlite").unwrap().jwks_refreshes()).unwrap()
    }

    fn token(subject: &str) -> SecretString {
        issue(&settings(), subject, "users:read", Duration::from_mins(1)).unwrap()
    }

    #[test]
    fn only_valid_tokens_are_cached() {
        let verifier = verifier();
        let token = token("ann");
        let token = token.expose_secret();
        assert!(verifier.authenticate("nonsense").is_err());
        assert!(verifier.0.verified.is_empty());
        assert!(verifier.authenticate(token).is_ok());
        assert!(verifier.cached(token).is_some());
        assert_eq!(
            verifier.authenticate(token).unwrap().authorize(Scope::UsersWrite),
            Err(Denied::Scope(Scope::UsersWrite))
        );
    }

    #[test]
    fn an_audience_that_is_not_a_text_is_not_ignored() {
        let verifier = verifier();
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        let authorize = |audience: Value| {
            let claims = json!({"exp": now() + 60, "sub": "ann", "scope": "users:read", "aud": audience});
            let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap();
            verifier.authenticate(&token)
        };
        assert!(authorize(Value::Null).is_ok());
        for audience in [json!("users"), json!(["users"]), json!([]), json!(5), json!([5]), json!({})] {
            assert_eq!(authorize(audience.clone()), Err(Denied::Audience), "{audience}");
        }
    }

    #[test]
    fn an_issuer_may_be_written_in_any_form_and_tells_callers_apart() {
        let verifier = verifier();
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        let id = |issuer: Value, subject: &str| {
            let claims = json!({"exp": now() + 60, "iss": issuer, "sub": subject, "scope": "users:read"});
            let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap();
            verifier.authenticate(&token).unwrap().id
        };
        let all = [json!("a"), json!("b"), json!(["a"]), json!(null)].map(|issuer| id(issuer, "ann"));
        assert_eq!(std::collections::HashSet::from(all).len(), all.len());
        assert_ne!(id(json!("a"), "bc"), id(json!("ab"), "c"));
        assert_eq!(id(json!("a"), "ann"), id(json!("a"), "ann"));
    }

    #[test]
    fn cached_tokens_are_accepted_until_they_expire() {
        let verifier = verifier();
        let bearer = Bearer { caller: Caller(0), id: [0; 32], scopes: Scopes::parse("users:read"), valid_until: 0 };
        verifier.0.verified.insert("good".into(), Verified { bearer, generation: FIXED, expires: now() + 60 });
        verifier.0.verified.insert("late".into(), Verified { bearer, generation: FIXED, expires: now() });
        assert_eq!(verifier.authenticate("good"), Ok(bearer));
        assert_eq!(verifier.authenticate("late"), Err(Denied::Malformed));
    }

    #[test]
    fn the_cache_is_bounded() {
        let verifier = verifier();
        for number in 0..3 * CACHE_SIZE {
            let token = token(&number.to_string());
            assert!(verifier.authenticate(token.expose_secret()).is_ok());
        }
        // The cache rounds up the capacity of each shard.
        assert!(verifier.0.verified.len() <= CACHE_SIZE * 5 / 4, "{}", verifier.0.verified.len());
    }

    #[test]
    fn the_time_left_includes_the_leeway() {
        let leeway = Duration::from_secs(30);
        let settings = Settings { leeway, ..settings() };
        let verifier = Verifier::new(&settings, Metrics::new("sqlite").unwrap().jwks_refreshes()).unwrap();
        let left = verifier.authenticate(token("ann").expose_secret()).unwrap().time_left();
        assert!(left > Duration::from_secs(85) && left <= Duration::from_secs(91), "{left:?}");
        let spent = Bearer { caller: Caller(0), id: [0; 32], scopes: Scopes::parse(""), valid_until: now() };
        assert_eq!(spent.time_left(), Duration::ZERO);
        assert_eq!(Bearer { valid_until: u64::MAX, ..spent }.time_left(), Duration::MAX);
    }
}
