use std::net::IpAddr;

use super::rate_limit::{Client, RateLimit};
use super::{Bearer, Denied, Scope, Verifier};
use crate::metrics::{AuthFailures, Metrics};

/// Lets in whoever has a token with the right scope, whichever protocol brought it, and does not come too often. Clones share
/// the count.
#[derive(Clone)]
pub struct Gate {
    verifier: Verifier,
    /// How often a client may come, if that matters.
    rate_limit: Option<RateLimit>,
    failures: AuthFailures,
}

/// Why somebody is not let in. The texts are for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("this needs exactly one header Authorization: Bearer, with a token")]
    NoToken,
    #[error(transparent)]
    Denied(#[from] Denied),
    /// In seconds.
    #[error("too many requests from this client; try again in {retry_after} s")]
    TooManyRequests { retry_after: u64 },
}

impl Refused {
    /// A name for programs that never changes.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoToken => "unauthorized",
            Self::Denied(Denied::Scope(_)) => "insufficient_scope",
            Self::Denied(Denied::NoKeys) => "unavailable",
            Self::Denied(_) => "invalid_token",
            Self::TooManyRequests { .. } => "too_many_requests",
        }
    }
}

/// The reason for a failure that [`Denied`] does not know.
const NO_TOKEN: &str = "no_token";

impl Gate {
    /// A gate that counts whom it does not let in.
    #[must_use]
    pub fn new(verifier: Verifier, rate_limit: Option<RateLimit>, metrics: &Metrics) -> Self {
        let failures = metrics.auth_failures().clone();
        failures.expect(Denied::ALL.map(Denied::reason).into_iter().chain([NO_TOKEN]));
        Self { verifier, rate_limit, failures }
    }

    /// Who comes with these credentials, all that the headers `Authorization` hold.
    ///
    /// # Errors
    /// When there is no token, or it does not do.
    pub fn authenticate<'a>(&self, credentials: impl Iterator<Item = &'a [u8]>) -> Result<Bearer, Refused> {
        Ok(self.verifier.authenticate(token(credentials)?)?)
    }

    /// For whoever could not be authenticated for want of a key: the end of an attempt to fetch the keys, after which it may be
    /// tried again. `None` when that is of no use.
    #[must_use]
    pub fn refresh(&self, bearer: &Result<Bearer, Refused>) -> Option<impl Future<Output = ()> + use<>> {
        match bearer {
            Err(Refused::Denied(Denied::UnknownKey | Denied::NoKeys)) => self.verifier.refresh(),
            _ => None,
        }
    }

    /// Lets somebody in, who comes from this address if that is known, or tells why not.
    ///
    /// # Errors
    /// When it comes too often, could not be authenticated, or lacks the scope.
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

/// The token of a request (RFC 6750, 2.1). In the URL or the body it would end up in logs, so it is not looked for there.
fn token<'a>(mut credentials: impl Iterator<Item = &'a [u8]>) -> Result<&'a str, Refused> {
    let (Some(only), None) = (credentials.next(), credentials.next()) else {
        // Of two it is not clear which one counts.
        return Err(Refused::NoToken);
    };
    let text = std::str::from_utf8(only).ok().filter(|text| text.is_ascii());
    let (scheme, token) = text.and_then(|text| text.split_once(' ')).ok_or(Refused::NoToken)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim_matches(' ')) } else { Err(Refused::NoToken) }
}
