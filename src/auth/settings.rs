use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::{Position, Url};

use super::public_key::PublicKey;

/// How tokens are verified. `config` documents every value.
#[derive(Clone, Debug)]
pub struct Settings {
    pub key: KeySource,
    /// The required issuer, if any.
    pub issuer: Option<String>,
    /// The required audience, if any.
    pub audience: Option<String>,
    /// The tolerated difference between the clocks of the issuer and the service. Whole seconds.
    pub leeway: Duration,
    /// The rate limit per client, if any: requests a second, and the largest burst.
    pub rate_limit: Option<(NonZeroU32, NonZeroU32)>,
}

/// The source of the key that verifies tokens. The key, never the token, determines the algorithm.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// HS256 with the bytes of this text.
    Secret(SecretString),
    /// HS256 with the secret in this file, which the service generates if it is missing.
    LocalSecret(PathBuf),
    /// RS256, ES256 or `EdDSA`, depending on the key's type.
    PublicKey(PublicKey),
    /// RS256, ES256 or `EdDSA`, depending on the type of the issuer's key that the token names by its id.
    Issuer(JwksSettings),
    /// No key, for commands that neither verify nor issue tokens.
    Unset,
}

/// Where an issuer publishes its keys.
#[derive(Clone, Debug)]
pub struct JwksSettings {
    /// The URL of the JWK set.
    pub url: Url,
    /// The interval between fetches.
    pub refresh: Duration,
}

/// The URL without its query, which may contain secrets.
impl fmt::Display for JwksSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let query = if self.url.query().is_some() { "?***" } else { "" };
        write!(f, "{}{query}", &self.url[..Position::AfterPath])
    }
}

/// The minimum length of a secret, in bytes: that of HS256's hash (RFC 7518, 3.2).
pub const MIN_SECRET: usize = 32;
