use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use super::local_secret::{self, SecretFileError};
use super::settings::{KeySource, Settings};

/// Why no token was issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    #[error(transparent)]
    LocalSecret(#[from] SecretFileError),
    #[error("no key is configured")]
    Unset,
    #[error("JWT_PUBLIC_KEY and JWKS_URL check tokens but cannot sign them: whoever has the private key issues them")]
    NoPrivateKey,
    #[error("cannot sign: {0}")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    scope: &'a str,
    iat: u64,
    exp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
}

/// Issues a token that a service with these settings accepts: for `subject`, with the scopes named in `scope`, valid
/// from now on for `ttl`.
///
/// # Errors
/// When there is no secret to sign with.
pub fn issue(settings: &Settings, subject: &str, scope: &str, ttl: Duration) -> Result<SecretString, IssueError> {
    let local;
    let secret = match &settings.key {
        KeySource::Secret(secret) => secret,
        KeySource::LocalSecret(path) => {
            local = local_secret::load(path)?;
            &local
        }
        KeySource::Unset => return Err(IssueError::Unset),
        KeySource::PublicKey(_) | KeySource::Issuer(_) => return Err(IssueError::NoPrivateKey),
    };
    let iat = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    let claims = Claims {
        sub: subject,
        scope,
        iat,
        exp: iat.saturating_add(ttl.as_secs()),
        iss: settings.issuer.as_deref(),
        aud: settings.audience.as_deref(),
    };
    let key = EncodingKey::from_secret(secret.expose_secret().as_bytes());
    Ok(jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)?.into())
}
