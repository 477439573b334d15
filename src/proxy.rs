//! Finds the proxy for a URL in the environment, as curl and Go do.
//!
//! ureq would use any proxy for any scheme, and for loopback too, and understands neither spaces nor subdomains nor
//! networks in `NO_PROXY`.

use std::net::IpAddr;

use ureq::{Proxy, ProxyProtocol};
use url::{Host, Url};

/// The proxy for a URL. `None` if there is none, or the URL leads to this machine.
#[must_use]
pub fn proxy_for(url: &Url) -> Option<Proxy> {
    find(url, |name| std::env::var(name).ok())
}

fn find(url: &Url, variable: impl Fn(&str) -> Option<String>) -> Option<Proxy> {
    let target = Target::of(url)?;
    let either = |names: [&'static str; 2]| {
        names.into_iter().find_map(|name| Some((name, variable(name).filter(|value| !value.trim().is_empty())?)))
    };
    if target.is_loopback() || either(["NO_PROXY", "no_proxy"]).is_some_and(|(_, list)| target.is_among(&list)) {
        return None;
    }
    let of_scheme = if url.scheme() == "https" { ["HTTPS_PROXY", "https_proxy"] } else { ["HTTP_PROXY", "http_proxy"] };
    let (name, value) = either(of_scheme).or_else(|| either(["ALL_PROXY", "all_proxy"]))?;
    let proxy = Proxy::new(value.trim()).ok();
    let proxy = proxy.filter(|proxy| matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https));
    if proxy.is_none() {
        // The value may contain a password.
        log::warn!("{name} is not used: it must be http://host:port or https://host:port");
    }
    proxy
}

/// The host and port of a URL.
struct Target {
    host: Host,
    port: Option<u16>,
}

impl Target {
    fn of(url: &Url) -> Option<Self> {
        Some(Self { host: url.host()?.to_owned(), port: url.port_or_known_default() })
    }

    fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Domain(name) => is_within(name.trim_end_matches('.'), "localhost"),
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.to_canonical().is_loopback(),
        }
    }

    /// Whether the list contains the target. The list has names, which include their subdomains, addresses and
    /// networks, separated by commas or spaces. Names and addresses may have a port.
    fn is_among(&self, list: &str) -> bool {
        list.split(|char: char| char == ',' || char.is_whitespace()).any(|entry| self.is(entry))
    }

    fn is(&self, entry: &str) -> bool {
        if entry == "*" {
            return true;
        }
        let address = match &self.host {
            Host::Domain(name) => {
                let (pattern, port) = split_port(entry);
                let pattern = pattern.trim_start_matches('*').trim_matches('.').to_ascii_lowercase();
                return self.has_port(port) && !pattern.is_empty() && is_within(name.trim_end_matches('.'), &pattern);
            }
            Host::Ipv4(address) => IpAddr::V4(*address),
            Host::Ipv6(address) => address.to_canonical(),
        };
        if let Some((network, length)) = entry.split_once('/') {
            return is_in_network(address, network, length).unwrap_or(false);
        }
        // An IPv6 address without brackets has colons but no port.
        let (pattern, port) = if entry.parse::<IpAddr>().is_ok() { (entry, None) } else { split_port(entry) };
        let pattern = pattern.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        pattern.is_ok_and(|pattern| pattern.to_canonical() == address) && self.has_port(port)
    }

    fn has_port(&self, port: Option<&str>) -> bool {
        port.is_none_or(|port| port.parse().is_ok_and(|port| Some(port) == self.port))
    }
}

fn split_port(entry: &str) -> (&str, Option<&str>) {
    match entry.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (entry, None),
    }
}

/// Whether a name is the domain or a subdomain of it.
fn is_within(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|below| below.is_empty() || below.ends_with('.'))
}

fn is_in_network(address: IpAddr, network: &str, length: &str) -> Option<bool> {
    let (address, network, bits) = match (address, network.parse().ok()?) {
        (IpAddr::V4(address), IpAddr::V4(network)) => (u128::from(address.to_bits()), network.to_bits().into(), 32),
        (IpAddr::V6(address), IpAddr::V6(network)) => (address.to_bits(), network.to_bits(), 128),
        _ => return None,
    };
    let below = u32::checked_sub(bits, length.parse().ok()?)?;
    // A shift by 128 bits yields `None`, so both sides become 0.
    Some(address.checked_shr(below).unwrap_or_default() == network.checked_shr(below).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: (&str, &str) = ("ALL_PROXY", "http://proxy.example:3128");

    fn host_of(url: &str, variables: &[(&str, &str)]) -> Option<String> {
        let variable =
            |name: &str| variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).into());
        find(&Url::parse(url).unwrap(), variable).map(|proxy| proxy.host().to_owned())
    }

    #[test]
    fn each_scheme_has_its_own_proxy() {
        let variables = [("HTTP_PROXY", "http://a:1"), ("https_proxy", "b:2"), PROXY];
        assert_eq!(host_of("http://x.example/", &variables).as_deref(), Some("a"));
        assert_eq!(host_of("https://x.example/", &variables).as_deref(), Some("b"));
        assert_eq!(host_of("https://x.example/", &[PROXY]).as_deref(), Some("proxy.example"));
        for variables in
            [&[][..], &[("HTTP_PROXY", "")], &[("HTTPS_PROXY", "http://a:1")], &[("HTTP_PROXY", "ftp://a")]]
        {
            assert_eq!(host_of("http://x.example/", variables), None, "{variables:?}");
        }
    }

    #[test]
    fn loopback_uses_no_proxy() {
        let hosts = ["localhost", "LOCALHOST", "users.localhost", "localhost.", "127.0.0.1", "127.9.9.9", "[::1]"];
        for host in hosts.into_iter().chain(["[::ffff:127.0.0.1]"]) {
            assert_eq!(host_of(&format!("http://{host}:8080/"), &[PROXY]), None, "{host}");
        }
        for host in ["notlocalhost", "localhost.example", "128.0.0.1", "[::2]"] {
            assert!(host_of(&format!("http://{host}/"), &[PROXY]).is_some(), "{host}");
        }
    }

    #[test]
    fn no_proxy_is_a_list_of_names_addresses_and_networks() {
        let is_direct = |host: &str, list| host_of(&format!("https://{host}/"), &[PROXY, ("no_proxy", list)]).is_none();
        for (host, list) in [
            ("keys.example", "other.example, keys.example"),
            ("keys.example", "other.example\tkeys.example "),
            ("keys.example", "KEYS.Example"),
            ("KEYS.example.", "keys.example"),
            ("keys.example", "keys.example."),
            ("keys.example", "example"),
            ("a.keys.example", "keys.example"),
            ("keys.example", ".keys.example"),
            ("a.keys.example", "*.keys.example"),
            ("keys.example", "*"),
            ("keys.example", "keys.example:443"),
            ("keys.example:8443", ".example:8443"),
            ("10.1.2.3", "10.1.2.3"),
            ("10.1.2.3", "192.168.0.0/16,10.0.0.0/8"),
            ("10.1.2.3", "0.0.0.0/0"),
            ("10.1.2.3", "10.1.2.3/32"),
            ("10.1.2.3:8443", "10.1.2.3:8443"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]", "[2001:db8::1]:443"),
            ("[2001:db8::1]", "2001:db8::/32"),
            ("[::ffff:10.1.2.3]", "10.0.0.0/8"),
        ] {
            assert!(is_direct(host, list), "{host} {list:?}");
        }
        for (host, list) in [
            ("keys.example", ""),
            ("keys.example", " , ."),
            ("keys.example", "a.keys.example"),
            ("monkeys.example", "keys.example"),
            ("keys.example", "keys.example:80"),
            ("keys.example", "10.0.0.0/8"),
            ("10.1.2.3", "10.1.2"),
            ("10.1.2.3", "11.0.0.0/8,10.0.0.0/33,10.0.0.0/x"),
            ("10.1.2.3", "10.1.2.3:80"),
            ("[2001:db8::1]", "2001:db9::/32"),
        ] {
            assert!(!is_direct(host, list), "{host} {list:?}");
        }
    }
}
