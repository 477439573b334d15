//! Checks tokens, each of them once.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use quick_cache::sync::Cache;
use secrecy::ExposeSecret as _;
use serde::Deserialize;

use super::local_secret::{self, SecretFileError};
use super::scope::{Scope, Scopes};
use super::{Denied, KeySource, Settings};

/// The longest token that is looked at, in bytes. Issuers stay far below.
const MAX_LENGTH: usize = 8 << 10;
/// How many verified tokens are remembered: with the longest, 8 MiB.
const REMEMBERED: usize = 1000;

/// What such a PEM file says of itself (RFC 7468, 13).
const LABEL: &[u8] = b"PUBLIC KEY-----";

/// Why there is no key to check tokens with.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error(transparent)]
    LocalSecret(#[from] SecretFileError),
    #[error("no key is configured")]
    Unset,
    #[error("cannot read JWT_PUBLIC_KEY, {path}: {cause}")]
    Unreadable { path: String, cause: std::io::Error },
    #[error("JWT_PUBLIC_KEY, {path}, holds no public key of RSA, P-256 or Ed25519 in PEM format")]
    NoPublicKey { path: String },
}

/// Knows a key, and the tokens that it has found to be right. Clones share both.
#[derive(Clone)]
pub struct Verifier {
    key: Arc<DecodingKey>,
    validation: Arc<Validation>,
    verified: Arc<Cache<Box<str>, Verified>>,
}

/// What a token that is right says.
#[derive(Clone, Copy)]
struct Verified {
    scopes: Scopes,
    /// Seconds since 1970.
    expires: u64,
}

/// A claim that is missing is found by the [`validation`].
#[derive(Default, Deserialize)]
#[serde(default)]
struct Claims {
    /// RFC 7519 allows fractions of a second.
    exp: f64,
    sub: String,
    scope: String,
}

impl Verifier {
    /// Loads the key.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub fn new(settings: &Settings) -> Result<Self, KeyError> {
        let (key, algorithm) = load(&settings.key)?;
        Ok(Self {
            key: Arc::new(key),
            validation: Arc::new(validation(settings, algorithm)),
            verified: Arc::new(Cache::new(REMEMBERED)),
        })
    }

    /// Whether whoever sends this token may do what the scope stands for.
    ///
    /// # Errors
    /// Why not.
    pub fn authorize(&self, token: &str, scope: Scope) -> Result<(), Denied> {
        let verified = self.remembered(token).map_or_else(|| self.verify(token), Ok)?;
        if verified.scopes.contain(scope) { Ok(()) } else { Err(Denied::Scope(scope)) }
    }

    fn remembered(&self, token: &str) -> Option<Verified> {
        self.verified.get(token).filter(|verified| now() < verified.expires)
    }

    fn verify(&self, token: &str) -> Result<Verified, Denied> {
        if token.len() > MAX_LENGTH {
            return Err(Denied::Malformed);
        }
        let decoded = jsonwebtoken::decode::<Claims>(token, &self.key, &self.validation);
        let decoded = decoded.map_err(|error| denied(error.kind()))?;
        // What it calls critical must be understood (RFC 7515, 4.1.11), and nothing is.
        if decoded.header.crit.is_some() || decoded.claims.sub.is_empty() {
            return Err(Denied::Malformed);
        }
        let verified = Verified { scopes: Scopes::parse(&decoded.claims.scope), expires: whole(decoded.claims.exp) };
        self.verified.insert(token.into(), verified);
        Ok(verified)
    }
}

fn load(source: &KeySource) -> Result<(DecodingKey, Algorithm), KeyError> {
    match source {
        KeySource::Secret(secret) => {
            Ok((DecodingKey::from_secret(secret.expose_secret().as_bytes()), Algorithm::HS256))
        }
        KeySource::LocalSecret(path) => {
            let secret = local_secret::load_or_make(path)?;
            Ok((DecodingKey::from_secret(secret.expose_secret().as_bytes()), Algorithm::HS256))
        }
        KeySource::PublicKey(path) => {
            let shown = path.display().to_string();
            let pem = std::fs::read(path).map_err(|cause| KeyError::Unreadable { path: shown.clone(), cause })?;
            public_key(&pem).ok_or(KeyError::NoPublicKey { path: shown })
        }
        KeySource::Unset => Err(KeyError::Unset),
    }
}

fn public_key(pem: &[u8]) -> Option<(DecodingKey, Algorithm)> {
    // The library would take a private one too, and then find every signature wrong.
    if !pem.windows(LABEL.len()).any(|label| label == LABEL) {
        return None;
    }
    let rsa = || DecodingKey::from_rsa_pem(pem).map(|key| (key, Algorithm::RS256));
    let ec = |_| DecodingKey::from_ec_pem(pem).map(|key| (key, Algorithm::ES256));
    let ed = |_| DecodingKey::from_ed_pem(pem).map(|key| (key, Algorithm::EdDSA));
    rsa().or_else(ec).or_else(ed).ok()
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
    // A token for a named audience is not for whoever has no name (RFC 7519, 4.1.3): the library refuses it.
    if let Some(audience) = &settings.audience {
        validation.set_audience(&[audience]);
        // Without this, a token for nobody in particular would do.
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

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "out of range it becomes the nearest bound"
)]
const fn whole(seconds: f64) -> u64 {
    seconds as u64
}
