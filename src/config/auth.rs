//! The variables of authentication: the key of tokens, their claims, and the rate limit.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::address::http_url;
use super::reader::{Reader, delay};
use crate::auth::{self, JwksSettings, KeySource, PublicKey};
use crate::storage::DatabaseUrl;

const JWT_SECRET: &str = "JWT_SECRET";
const JWT_PUBLIC_KEY: &str = "JWT_PUBLIC_KEY";
const JWKS_URL: &str = "JWKS_URL";

impl Reader<'_> {
    pub(super) fn auth(&mut self, database: Option<&DatabaseUrl>, needs_keys: bool) -> Option<auth::Settings> {
        let key = self.key(database, needs_keys);
        let issuer = self.optional("JWT_ISSUER");
        let audience = self.optional("JWT_AUDIENCE");
        let leeway = self.value("JWT_LEEWAY", "10s", "a duration of whole seconds, from 0s to 1h", |text| {
            delay(text).filter(|it| it.subsec_nanos() == 0)
        });
        let rate_limit = self.rate_limit();
        Some(auth::Settings { key: key?, issuer, audience, leeway: leeway?, rate_limit })
    }

    fn key(&mut self, database: Option<&DatabaseUrl>, needs_keys: bool) -> Option<KeySource> {
        let refresh = self.duration("JWKS_REFRESH", "5m");
        let (secret, file, url) = (self.text(JWT_SECRET), self.text(JWT_PUBLIC_KEY), self.text(JWKS_URL));
        match (secret.ok()?, file.ok()?, url.ok()?) {
            (Some(secret), None, None) => self.secret(secret),
            (None, Some(file), None) => self.public_key(file),
            (None, None, Some(url)) => self.issuer(&url, refresh),
            (None, None, None) => match database? {
                DatabaseUrl::Sqlite(file) => Some(KeySource::LocalSecret(local_secret(file))),
                DatabaseUrl::Postgres(_) if !needs_keys => Some(KeySource::Unset),
                DatabaseUrl::Postgres(_) => {
                    let expected = format!("at least {} bytes", auth::MIN_SECRET);
                    self.mistake(
                        JWT_SECRET,
                        "",
                        expected + "; with PostgreSQL it, JWT_PUBLIC_KEY or JWKS_URL is needed",
                    )
                }
            },
            (secret, ..) => {
                let (name, value) = if secret.is_some() { (JWT_SECRET, "***") } else { (JWT_PUBLIC_KEY, "...") };
                self.mistake(name, value, "nothing beside another of JWT_SECRET, JWT_PUBLIC_KEY and JWKS_URL")
            }
        }
    }

    fn secret(&mut self, secret: String) -> Option<KeySource> {
        if secret.len() < auth::MIN_SECRET {
            let expected = format!("at least {} bytes, best random ones", auth::MIN_SECRET);
            return self.mistake(JWT_SECRET, "***", expected);
        }
        self.effective.push((JWT_SECRET, "***".to_owned()));
        Some(KeySource::Secret(secret.into()))
    }

    fn issuer(&mut self, text: &str, refresh: Option<Duration>) -> Option<KeySource> {
        let Some(url) = http_url(text) else {
            // The URL may contain a password.
            let expected = "an https:// or http:// URL without spaces, user and password";
            return self.mistake(JWKS_URL, "***", expected);
        };
        let settings = JwksSettings { url, refresh: refresh? };
        self.effective.push((JWKS_URL, settings.to_string()));
        Some(KeySource::Issuer(settings))
    }

    fn public_key(&mut self, file: String) -> Option<KeySource> {
        let Some(key) = PublicKey::read(Path::new(&file)) else {
            return self.mistake(JWT_PUBLIC_KEY, &file, PublicKey::TAKES);
        };
        self.effective.push((JWT_PUBLIC_KEY, file));
        Some(KeySource::PublicKey(key))
    }

    /// Requests per second, and the burst. `None` if there is no limit, or a mistake.
    fn rate_limit(&mut self) -> Option<(NonZeroU32, NonZeroU32)> {
        const MAX: u32 = 1_000_000;
        let expected = format!("requests per second of one client, up to {MAX}, or 0 for no limit");
        let rate = self.value("RATE_LIMIT", "0", expected, |text| text.parse().ok().filter(|rate| *rate <= MAX));
        let rate = rate.and_then(NonZeroU32::new);
        let usual = rate.unwrap_or(NonZeroU32::MIN);
        let expected = format!("requests that one client may send at once, 1 to {MAX}");
        let burst = self.value("RATE_BURST", &usual.to_string(), expected, |text| {
            text.parse().ok().filter(|burst: &NonZeroU32| burst.get() <= MAX)
        });
        rate.zip(burst)
    }
}

/// The secret's file is beside the database, where it is as safe as the users are.
fn local_secret(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".jwt-secret");
    path.into()
}
