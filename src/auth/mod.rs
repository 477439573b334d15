//! Authentication and authorization: a bearer token (JWT, RFC 7519) identifies a caller and its scopes.
//!
//! [`Gate`] is the entry: both protocols pass it the token of each request. This module speaks HTTP only to fetch an issuer's
//! keys.

mod denied;
mod gate;
mod issue;
mod jwks;
mod local_secret;
mod public_key;
mod rate_limit;
mod refused;
mod scope;
mod settings;
mod verifier;

pub use denied::Denied;
pub use gate::Gate;
pub use issue::{IssueError, issue};
pub use public_key::PublicKey;
pub use rate_limit::RateLimit;
pub use refused::Refused;
pub use scope::Scope;
pub use settings::{JwksSettings, KeySource, MIN_SECRET, Settings};
pub use verifier::{Bearer, Caller, KeyError, Verifier};
