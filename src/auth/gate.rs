use std::net::IpAddr;

use super::denied::Denied;
use super::rate_limit::{Client, RateLimit};
use super::refused::Refused;
use super::scope::Scope;
use super::verifier::{Bearer, Verifier};
use crate::metrics::{AuthFailures, Metrics};

/// Admits requests, over either protocol, whose token has the right scope and whose client is within its rate limit.
/// Clones share the rate limit.
#[derive(Clone)]
pub struct Gate {
    verifier: Verifier,
    /// `None` if clients have no rate limit.
    rate_limit: Option<RateLimit>,
    failures: AuthFailures,
}

/// The reason of [`Refused::NoToken`] in the metrics.
const NO_TOKEN: &str = "no_token";

impl Gate {
    /// Creates a gate that counts the requests it refuses.
    #[must_use]
    pub fn new(verifier: Verifier, rate_limit: Option<RateLimit>, metrics: &Metrics) -> Self {
        let failures = metrics.auth_failures().clone();
        failures.expect(Denied::ALL.map(Denied::reason).into_iter().chain([NO_TOKEN]));
        Self { verifier, rate_limit, failures }
    }

    /// Verifies the token in `credentials`, the values of all `Authorization` headers.
    ///
    /// # Errors
    /// When there is no token or it is invalid.
    pub fn authenticate<'a>(&self, credentials: impl Iterator<Item = &'a [u8]>) -> Result<Bearer, Refused> {
        Ok(self.verifier.authenticate(token(credentials)?)?)
    }

    /// If authentication failed for lack of a key, returns a future that completes when the keys have been fetched,
    /// after which the caller may authenticate again. `None` if that would not help.
    #[must_use]
    pub fn refresh(&self, bearer: &Result<Bearer, Refused>) -> Option<impl Future<Output = ()> + use<>> {
        match bearer {
            Err(Refused::Denied(Denied::UnknownKey | Denied::NoKeys)) => self.verifier.refresh(),
            _ => None,
        }
    }

    /// Decides whether to admit a request from this address, if the address is known.
    ///
    /// # Errors
    /// When the client exceeded its rate limit, was not authenticated, or lacks the scope.
    pub fn admit(
        &self,
        bearer: Result<Bearer, Refused>,
        scope: Scope,
        address: Option<IpAddr>,
    ) -> Result<Bearer, Refused> {
        self.check(bearer, scope, address).inspect_err(|refused| match refused {
            Refused::NoToken => self.failures.count(NO_TOKEN),
            Refused::Denied(denied) => self.failures.count(denied.reason()),
            Refused::TooManyRequests { .. } => {}
        })
    }

    fn check(&self, bearer: Result<Bearer, Refused>, scope: Scope, address: Option<IpAddr>) -> Result<Bearer, Refused> {
        if let Some(rate_limit) = &self.rate_limit {
            rate_limit.check(match &bearer {
                Ok(bearer) => Client::Caller(bearer.caller),
                Err(_) => Client::of_address(address),
            })?;
        }
        let bearer = bearer?;
        bearer.authorize(scope)?;
        Ok(bearer)
    }
}

/// The token of a request (RFC 6750, 2.1). The URL and the body are no place for a token: they end up in logs.
fn token<'a>(mut credentials: impl Iterator<Item = &'a [u8]>) -> Result<&'a str, Refused> {
    let (Some(only), None) = (credentials.next(), credentials.next()) else {
        // With two headers it would be unclear which one counts.
        return Err(Refused::NoToken);
    };
    let text = std::str::from_utf8(only).ok().filter(|text| text.is_ascii());
    let (scheme, token) = text.and_then(|text| text.split_once(' ')).ok_or(Refused::NoToken)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim_matches(' ')) } else { Err(Refused::NoToken) }
}
