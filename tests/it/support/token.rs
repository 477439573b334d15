use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

/// The secret with which servers under test check tokens, unless a test sets another.
pub const SECRET: &str = "for tests only: 0123456789abcdef";

/// A token with all scopes.
pub static TOKEN: LazyLock<String> = LazyLock::new(|| token(&claims("users:read users:write")));

/// Claims that are valid for an hour.
pub fn claims(scope: &str) -> Value {
    json!({ "sub": "tests", "scope": scope, "exp": now() + 3600 })
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs()
}

/// Signs with the [`SECRET`].
pub fn token(claims: &Value) -> String {
    signed(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(SECRET.as_bytes()))
}

pub fn signed(header: &Header, claims: &Value, key: &EncodingKey) -> String {
    jsonwebtoken::encode(header, claims, key).expect("a token")
}
