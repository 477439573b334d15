//! Limits the rate of each client's requests.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::refused::Refused;
use super::verifier::Caller;

/// The key of the rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Client {
    /// An authenticated client, from any address.
    Caller(Caller),
    /// An unauthenticated client: its IPv4 address, or its IPv6 /64 network, since a single host can use 2^64
    /// addresses. `None` if the address is unknown.
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

/// Refuses clients that exceed their rate limit. Clones share the state.
#[derive(Clone)]
pub struct RateLimit {
    limiter: Arc<DefaultKeyedRateLimiter<Client>>,
    clock: DefaultClock,
}

/// The interval at which the state of idle clients is removed.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(10);

impl RateLimit {
    /// Allows each client `per_second` requests a second, in bursts of up to `burst`.
    #[must_use]
    pub fn new(per_second: NonZeroU32, burst: NonZeroU32) -> Self {
        let limiter = RateLimiter::keyed(Quota::per_second(per_second).allow_burst(burst));
        Self { limiter: Arc::new(limiter), clock: DefaultClock::default() }
    }

    /// Counts a request of this client.
    pub(super) fn check(&self, client: Client) -> Result<(), Refused> {
        self.limiter.check_key(&client).map_err(|not_until| {
            let wait = not_until.wait_time_from(self.clock.now());
            Refused::TooManyRequests { retry_after: wait.as_secs() + 1 }
        })
    }

    /// Periodically removes clients whose allowance has fully recovered. Otherwise memory would grow with every client
    /// that ever called.
    pub async fn remove_idle_clients(self) {
        loop {
            tokio::time::sleep(CLEANUP_INTERVAL).await;
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
