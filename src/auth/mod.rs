//! Who may do what: a bearer token (JWT, RFC 7519) stands for a caller with scopes. Knows no HTTP
//! but that by which an issuer's keys are fetched.

mod denied;
mod gate;
mod issue;
mod jwks;
mod local_secret;
mod public_key;
mod rate_limit;
mod scope;
mod verifier;

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::{Position, Url};

pub use denied::Denied;
pub use gate::{Gate, Refused};
pub use issue::{IssueError, issue};
pub use public_key::PublicKey;
pub use rate_limit::RateLimit;
pub use scope::Scope;
pub use verifier::{Bearer, Caller, KeyError, Verifier};

/// How tokens are checked; every value is documented where it is configured.
#[derive(Clone, Debug)]
pub struct Settings {
    pub key: KeySource,
    /// Who must have issued a token, if that matters.
    pub issuer: Option<String>,
    /// For whom a token must be, if that matters.
    pub audience: Option<String>,
    /// By how much the clocks of issuer and service may differ. Whole seconds.
    pub leeway: Duration,
    /// Requests a second and at once for each client, if there is a limit.
    pub rate_limit: Option<(NonZeroU32, NonZeroU32)>,
}

/// Where the key is that tokens are checked with. It also decides the algorithm; a token has no say in that.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// HS256, with the bytes of this text.
    Secret(SecretString),
    /// HS256, with a secret in this file, which is made when it is missing.
    LocalSecret(PathBuf),
    /// RS256, ES256 or `EdDSA`, by the kind of the key.
    PublicKey(PublicKey),
    /// RS256, ES256 or `EdDSA`, by the kind of the key that the issuer publishes under the id that a token names.
    Issuer(JwksSettings),
    /// Nowhere: enough for commands that neither check nor issue tokens.
    Unset,
}

/// Where an issuer publishes its keys.
#[derive(Clone, Debug)]
pub struct JwksSettings {
    /// Of a JWK set.
    pub url: Url,
    /// How often it is fetched.
    pub refresh: Duration,
}

/// Where, without what may be secret in it.
impl fmt::Display for JwksSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let query = if self.url.query().is_some() { "?***" } else { "" };
        write!(f, "{}{query}", &self.url[..Position::AfterPath])
    }
}

/// The fewest bytes that a secret may have: as many as HS256's hash (RFC 7518, 3.2).
pub const MIN_SECRET: usize = 32;
