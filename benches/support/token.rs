use std::sync::LazyLock;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use user_service::auth::{KeySource, Settings, issue};

/// The secret with which the service under test checks tokens.
pub(super) const SECRET: &str = "of the benches only: 0123456789abcdef";

/// The header lines of every request. The classic way ignores the token.
pub(crate) fn headers() -> &'static str {
    &HEADERS
}

static HEADERS: LazyLock<String> =
    LazyLock::new(|| format!("Host: localhost\r\nAuthorization: Bearer {}\r\n", token()));

/// A token with all scopes, valid for a day.
pub(crate) fn token() -> String {
    let settings = Settings {
        key: KeySource::Secret(SECRET.into()),
        issuer: None,
        audience: None,
        leeway: Duration::ZERO,
        rate_limit: None,
    };
    let token = issue(&settings, "benches", "users:read users:write", Duration::from_hours(24)).expect("a token");
    token.expose_secret().to_owned()
}
