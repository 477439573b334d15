use prometheus::{IntCounter, IntCounterVec, Registry};

use super::register::counters;

const FAILURES: &str = "Requests refused for want of a token that does, by what was wrong.";
const REFRESHES: &str = "Attempts to fetch the keys of the issuer.";

/// Requests refused because of an invalid or missing token. Clones share the counters.
#[derive(Clone)]
pub struct AuthFailures(IntCounterVec);

impl AuthFailures {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        Ok(Self(counters(registry, "auth_failures_total", FAILURES, &["reason"])?))
    }

    /// Creates the series of these reasons, at zero.
    pub fn expect(&self, reasons: impl IntoIterator<Item = &'static str>) {
        for reason in reasons {
            let _ = self.0.with_label_values(&[reason]);
        }
    }

    /// Counts a refused request.
    pub fn count(&self, reason: &'static str) {
        self.0.with_label_values(&[reason]).inc();
    }
}

/// Fetches of an issuer's keys. Clones share the counters.
#[derive(Clone)]
pub struct JwksRefreshes {
    successes: IntCounter,
    failures: IntCounter,
}

impl JwksRefreshes {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let refreshes = counters(registry, "auth_jwks_refreshes_total", REFRESHES, &["result"])?;
        let of = |result| refreshes.with_label_values(&[result]);
        Ok(Self { successes: of("success"), failures: of("failure") })
    }

    /// Counts a fetch.
    pub fn count(&self, is_success: bool) {
        if is_success { self.successes.inc() } else { self.failures.inc() }
    }
}
