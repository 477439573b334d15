//! Checks tokens, and remembers those that are right.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, TokenData, Validation};
use quick_cache::sync::Cache;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::jwks::Jwks;
use super::local_secret::{self, SecretFileError};
use super::scope::{Scope, Scopes};
use super::{Denied, KeySource, PublicKey, Settings};
use crate::metrics::JwksRefreshes;

/// The longest token that is looked at, in bytes. Issuers stay far below.
const MAX_LENGTH: usize = 8 << 10;
/// About how many verified tokens are remembered: with the longest, 8 MiB.
const REMEMBERED: usize = 1000;

/// Why there is no key to check tokens with.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error(transparent)]
    LocalSecret(#[from] SecretFileError),
    #[error("cannot begin to fetch keys: {0}")]
    Fetch(#[from] std::io::Error),
    #[error("no key is configured")]
    Unset,
}

/// Knows a key, and the tokens that it has found to be right. Clones share both.
#[derive(Clone)]
pub struct Verifier(Arc<Known>);

struct Known {
    keys: Keys,
    validation: Validation,
    verified: Cache<Box<str>, Verified>,
    callers: RandomState,
}

enum Keys {
    Fixed(DecodingKey),
    Published(Jwks),
}

/// Who a token stands for: a number in place of its subject, which may be personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Caller(u64);

/// Whoever comes with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bearer {
    pub caller: Caller,
    scopes: Scopes,
    /// From when on the token does not do any more, whatever clocks are forgiven. Seconds since 1970.
    good_until: u64,
}

impl Bearer {
    /// Whether the token is good for what the scope stands for.
    ///
    /// # Errors
    /// When it lacks the scope.
    pub fn authorize(&self, scope: Scope) -> Result<(), Denied> {
        if self.scopes.contain(scope) { Ok(()) } else { Err(Denied::Scope(scope)) }
    }

    /// How long the token will do yet.
    #[must_use]
    pub fn time_left(&self) -> Duration {
        let end = UNIX_EPOCH.checked_add(Duration::from_secs(self.good_until));
        end.map_or(Duration::MAX, |end| end.duration_since(SystemTime::now()).unwrap_or_default())
    }
}

/// What a token that is right says.
#[derive(Clone, Copy)]
struct Verified {
    bearer: Bearer,
    /// Of the keys that it was verified with.
    generation: u64,
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
    aud: Option<IgnoredAny>,
}

impl Verifier {
    /// Loads the key, or begins to fetch the keys.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub fn new(settings: &Settings, refreshes: &JwksRefreshes) -> Result<Self, KeyError> {
        let (keys, algorithm) = keys(&settings.key, refreshes)?;
        let validation = validation(settings, algorithm);
        let (verified, callers) = (Cache::new(REMEMBERED), RandomState::new());
        Ok(Self(Arc::new(Known { keys, validation, verified, callers })))
    }

    /// Who sends this token.
    ///
    /// # Errors
    /// When it does not do.
    pub fn authenticate(&self, token: &str) -> Result<Bearer, Denied> {
        let verified = self.remembered(token).map_or_else(|| self.verify(token), Ok)?;
        Ok(verified.bearer)
    }

    /// For whoever was denied for want of a key: the end of an attempt to fetch the keys, after which it may ask again.
    /// `None` when that is of no use.
    #[must_use]
    pub fn refresh(&self) -> Option<impl Future<Output = ()> + use<>> {
        match &self.0.keys {
            Keys::Fixed(_) => None,
            Keys::Published(jwks) => jwks.refresh(),
        }
    }

    fn remembered(&self, token: &str) -> Option<Verified> {
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
        // What it calls critical must be understood (RFC 7515, 4.1.11), and nothing is.
        if header.crit.is_some() || claims.sub.is_empty() {
            return Err(Denied::Malformed);
        }
        // To the library, an audience that is no text is none at all; whoever has a name is spared that, by requiring one.
        if self.0.validation.aud.is_none() && claims.aud.is_some() {
            return Err(Denied::Audience);
        }
        let caller = Caller(self.0.callers.hash_one(&claims.sub));
        let expires = whole(claims.exp);
        let good_until = expires.saturating_add(self.0.validation.leeway);
        // The library takes it up to two seconds longer; on or after its time is too late (RFC 7519, 4.1.4).
        if now() >= good_until {
            return Err(Denied::Expired);
        }
        let bearer = Bearer { caller, scopes: Scopes::parse(&claims.scope), good_until };
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
        KeySource::LocalSecret(path) => Ok(shared(&local_secret::load_or_make(path)?)),
        KeySource::PublicKey(public) => Ok((Keys::Fixed(public.key.clone()), public.algorithm)),
        // The algorithm is that of each key.
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
    use jsonwebtoken::{EncodingKey, Header};
    use serde_json::{Value, json};

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
    fn only_what_is_right_is_remembered() {
        let verifier = verifier();
        let token = token("ann");
        let token = token.expose_secret();
        assert!(verifier.authenticate("nonsense").is_err());
        assert!(verifier.0.verified.is_empty());
        assert!(verifier.authenticate(token).is_ok());
        assert!(verifier.remembered(token).is_some());
        assert_eq!(
            verifier.authenticate(token).unwrap().authorize(Scope::UsersWrite),
            Err(Denied::Scope(Scope::UsersWrite))
        );
    }

    #[test]
    fn an_audience_that_is_no_text_is_not_overlooked() {
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
    fn what_is_remembered_is_believed_until_it_expires() {
        let verifier = verifier();
        let bearer = Bearer { caller: Caller(0), scopes: Scopes::parse("users:read"), good_until: 0 };
        verifier.0.verified.insert("good".into(), Verified { bearer, generation: FIXED, expires: now() + 60 });
        verifier.0.verified.insert("late".into(), Verified { bearer, generation: FIXED, expires: now() });
        assert_eq!(verifier.authenticate("good"), Ok(bearer));
        assert_eq!(verifier.authenticate("late"), Err(Denied::Malformed));
    }

    #[test]
    fn no_more_are_remembered_than_there_is_room_for() {
        let verifier = verifier();
        for number in 0..3 * REMEMBERED {
            let token = token(&number.to_string());
            assert!(verifier.authenticate(token.expose_secret()).is_ok());
        }
        // The cache rounds up, for each of its parts.
        assert!(verifier.0.verified.len() <= REMEMBERED * 5 / 4, "{}", verifier.0.verified.len());
    }

    #[test]
    fn a_token_has_time_left_until_clocks_are_forgiven_no_more() {
        let leeway = Duration::from_secs(30);
        let settings = Settings { leeway, ..settings() };
        let verifier = Verifier::new(&settings, Metrics::new("sqlite").unwrap().jwks_refreshes()).unwrap();
        let left = verifier.authenticate(token("ann").expose_secret()).unwrap().time_left();
        assert!(left > Duration::from_secs(85) && left <= Duration::from_secs(91), "{left:?}");
        let spent = Bearer { caller: Caller(0), scopes: Scopes::parse(""), good_until: now() };
        assert_eq!(spent.time_left(), Duration::ZERO);
        assert_eq!(Bearer { good_until: u64::MAX, ..spent }.time_left(), Duration::MAX);
    }
}
