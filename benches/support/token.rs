use std::sync::LazyLock;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use user_service::auth::{KeySource, Settings, issue};

/// What the service under test checks tokens with.
pub(super) const SECRET: &str = "of the benches only: 0123456789abcdef";

/// The header lines that every request has. The classic way does not look at the token.
pub(crate) fn headers() -> &'static str {
    &HEADERS
}

static HEADERS: LazyLock<String> =
    LazyLock::new(|| format!("Host: localhost\r\nAuthorization: Bearer {}\r\n", token()));

/// A token for everything, good for a day.
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
