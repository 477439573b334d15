//! How often one client may ask.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::{Caller, Refused};

/// Who is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Client {
    /// Whoever has a token, wherever it comes from.
    Caller(Caller),
    /// Whoever has none: its address, or its network, since a single host has 2^64 addresses in IPv6. `None` when it is
    /// not known.
    Address(Option<IpAddr>),
}

impl Client {
    pub(super) fn of_address(address: Option<IpAddr>) -> Self {
        Self::Address(address.map(network))
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Refuses clients that ask too often. Clones share one count.
#[derive(Clone)]
pub struct RateLimit {
    limiter: Arc<DefaultKeyedRateLimiter<Client>>,
    clock: DefaultClock,
}

/// How often those are forgotten who have not asked for a while.
const FORGET: Duration = Duration::from_secs(10);

impl RateLimit {
    /// So many requests a second for each client, and, after a pause, up to `burst` of them at once.
    #[must_use]
    pub fn new(per_second: NonZeroU32, burst: NonZeroU32) -> Self {
        let limiter = RateLimiter::keyed(Quota::per_second(per_second).allow_burst(burst));
        Self { limiter: Arc::new(limiter), clock: DefaultClock::default() }
    }

    /// Counts one request.
    pub(super) fn check(&self, client: Client) -> Result<(), Refused> {
        self.limiter.check_key(&client).map_err(|not_until| {
            let wait = not_until.wait_time_from(self.clock.now());
            Refused::TooManyRequests { retry_after: wait.as_secs() + 1 }
        })
    }

    /// Forgets, from time to time, those who may ask as often as a stranger by now: else everyone who ever came would cost
    /// memory.
    pub async fn forget_strangers(self) {
        loop {
            tokio::time::sleep(FORGET).await;
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_host_count_as_one() {
        let network = |text: &str| network(text.parse().unwrap());
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), network("2001:db8:1:2::1"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
    }
}
