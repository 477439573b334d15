//! The bearer token of a run.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

use crate::arguments::Access;

/// What the service wants at least.
const SHORTEST_SECRET: usize = 32;
/// For seeding, cleaning up and clocks that differ.
const MARGIN: Duration = Duration::from_hours(1);

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    scope: &'a str,
    exp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
}

/// As the service reads it: a container has its secrets in a file.
fn secret_in_file() -> Option<String> {
    let mut variables = dotenvy::from_path_iter(".env").ok()?.flatten();
    variables.find(|(name, _)| name == "JWT_SECRET").map(|(_, secret)| secret)
}

/// The given token, or one that outlives a run of this duration.
pub(crate) fn bearer(access: &Access, duration: Duration) -> Result<String, String> {
    if let Some(token) = &access.token {
        return Ok(token.clone());
    }
    let secret = std::env::var("JWT_SECRET").ok().or_else(secret_in_file);
    let secret = secret.ok_or_else(|| "no token: pass --token, or set JWT_SECRET".to_owned())?;
    if secret.len() < SHORTEST_SECRET {
        return Err(format!("JWT_SECRET has {} bytes; the service wants at least {SHORTEST_SECRET}", secret.len()));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?;
    let claims = Claims {
        sub: "loadtest",
        scope: "users:read users:write",
        exp: (now + duration + MARGIN).as_secs(),
        iss: access.issuer.as_deref(),
        aud: access.audience.as_deref(),
    };
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).map_err(|error| error.to_string())
}
