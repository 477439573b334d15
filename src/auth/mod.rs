//! Authentication and authorization: a bearer token (JWT, RFC 7519) identifies a caller and its scopes.
//!
//! [`Gate`] is the entry: both protocols pass it the token of each request. The first time, the token's signature and
//! claims are verified. After that it is found in a cache of about a thousand valid tokens, until it expires.
//!
//! A token chooses neither its algorithm nor its key. Its `kid` only selects one of the issuer's keys, and each of
//! those has its own algorithm.
//!
//! No request fetches keys: a thread does (`jwks`), and nothing else here speaks HTTP. A request whose key is unknown
//! waits for that thread, if the thread may ask the issuer again.

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
