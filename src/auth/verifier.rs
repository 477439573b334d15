//! Checks tokens, and remembers those that are right.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use quick_cache::sync::Cache;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::local_secret::{self, SecretFileError};
use super::scope::{Scope, Scopes};
use super::{Denied, KeySource, Settings};

/// The longest token that is looked at, in bytes. Issuers stay far below.
const MAX_LENGTH: usize = 8 << 10;
/// About how many verified tokens are remembered: with the longest, 8 MiB.
const REMEMBERED: usize = 1000;

/// Why there is no key to check tokens with.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error(transparent)]
    LocalSecret(#[from] SecretFileError),
    #[error("no key is configured")]
    Unset,
}

/// Knows a key, and the tokens that it has found to be right. Clones share both.
#[derive(Clone)]
pub struct Verifier(Arc<Known>);

struct Known {
    key: DecodingKey,
    validation: Validation,
    verified: Cache<Box<str>, Verified>,
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
        let (key, algorithm) = key(&settings.key)?;
        let validation = validation(settings, algorithm);
        Ok(Self(Arc::new(Known { key, validation, verified: Cache::new(REMEMBERED) })))
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
        self.0.verified.get(token).filter(|verified| now() < verified.expires)
    }

    fn verify(&self, token: &str) -> Result<Verified, Denied> {
        if token.len() > MAX_LENGTH {
            return Err(Denied::Malformed);
        }
        let decoded = jsonwebtoken::decode::<Claims>(token, &self.0.key, &self.0.validation);
        let decoded = decoded.map_err(|error| denied(error.kind()))?;
        // What it calls critical must be understood (RFC 7515, 4.1.11), and nothing is.
        if decoded.header.crit.is_some() || decoded.claims.sub.is_empty() {
            return Err(Denied::Malformed);
        }
        let verified = Verified { scopes: Scopes::parse(&decoded.claims.scope), expires: whole(decoded.claims.exp) };
        // The library takes it up to two seconds longer; on or after its time is too late (RFC 7519, 4.1.4).
        if now() >= verified.expires.saturating_add(self.0.validation.leeway) {
            return Err(Denied::Expired);
        }
        self.0.verified.insert(token.into(), verified);
        Ok(verified)
    }
}

fn key(source: &KeySource) -> Result<(DecodingKey, Algorithm), KeyError> {
    let shared =
        |secret: &SecretString| (DecodingKey::from_secret(secret.expose_secret().as_bytes()), Algorithm::HS256);
    match source {
        KeySource::Secret(secret) => Ok(shared(secret)),
        KeySource::LocalSecret(path) => Ok(shared(&local_secret::load_or_make(path)?)),
        KeySource::PublicKey(public) => Ok((public.key.clone(), public.algorithm)),
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::auth::issue;

    fn settings() -> Settings {
        let key = KeySource::Secret("0123456789abcdef0123456789abcdef".into());
        Settings { key, issuer: None, audience: None, leeway: Duration::ZERO }
    }

    fn token(subject: &str) -> SecretString {
        issue(&settings(), subject, "users:read", Duration::from_mins(1)).unwrap()
    }

    #[test]
    fn only_what_is_right_is_remembered() {
        let verifier = Verifier::new(&settings()).unwrap();
        let token = token("ann");
        let token = token.expose_secret();
        assert!(verifier.authorize("nonsense", Scope::UsersRead).is_err());
        assert!(verifier.0.verified.is_empty());
        assert_eq!(verifier.authorize(token, Scope::UsersRead), Ok(()));
        assert!(verifier.remembered(token).is_some());
        assert_eq!(verifier.authorize(token, Scope::UsersWrite), Err(Denied::Scope(Scope::UsersWrite)));
    }

    #[test]
    fn what_is_remembered_is_believed_until_it_expires() {
        let verifier = Verifier::new(&settings()).unwrap();
        let scopes = Scopes::parse("users:read");
        verifier.0.verified.insert("good".into(), Verified { scopes, expires: now() + 60 });
        verifier.0.verified.insert("late".into(), Verified { scopes, expires: now() });
        assert_eq!(verifier.authorize("good", Scope::UsersRead), Ok(()));
        assert_eq!(verifier.authorize("late", Scope::UsersRead), Err(Denied::Malformed));
    }

    #[test]
    fn no_more_are_remembered_than_there_is_room_for() {
        let verifier = Verifier::new(&settings()).unwrap();
        for number in 0..3 * REMEMBERED {
            let token = token(&number.to_string());
            assert_eq!(verifier.authorize(token.expose_secret(), Scope::UsersRead), Ok(()));
        }
        // The cache rounds up, for each of its parts.
        assert!(verifier.0.verified.len() <= REMEMBERED * 5 / 4, "{}", verifier.0.verified.len());
    }
}
