//! The host that a request names (RFC 9112, 3.2).
//!
//! `http::Uri` and `url::Host` serve other purposes: the first takes hosts that cannot exist, the second rewrites those
//! it takes and refuses some that RFC 3986 allows.

use std::net::Ipv6Addr;

use actix_web::dev::ServiceRequest;
use actix_web::http::header::HOST;

use crate::http::problem::Failure;

/// Refuses a request whose `Host` header or target names an impossible host. actix ensures that there is exactly one
/// `Host`, except in HTTP/1.0.
pub(super) fn check_host(request: &ServiceRequest) -> Result<(), Failure> {
    let header = request.headers().get(HOST).is_none_or(|value| is_host(value.as_bytes()));
    let target = request.uri().authority().is_none_or(|authority| is_host(authority.as_str().as_bytes()));
    let detail = "must be a host, and its port if there is one";
    if header && target { Ok(()) } else { Err(Failure::InvalidHeader { name: "host", detail }) }
}

/// `uri-host [ ":" port ]`, but without `IPvFuture`.
fn is_host(text: &[u8]) -> bool {
    let Some(bracketed) = text.strip_prefix(b"[") else {
        let mut parts = text.splitn(2, |byte| *byte == b':');
        return parts.next().is_some_and(is_name) && parts.next().is_none_or(is_port);
    };
    let mut parts = bracketed.splitn(2, |byte| *byte == b']');
    let port = |rest: &[u8]| rest.is_empty() || rest.strip_prefix(b":").is_some_and(is_port);
    parts.next().is_some_and(is_ipv6) && parts.next().is_some_and(port)
}

fn is_ipv6(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

/// `reg-name` (RFC 3986, 3.2.2), which covers IPv4 addresses.
fn is_name(text: &[u8]) -> bool {
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        let fits = match byte {
            b'%' => bytes.by_ref().take(2).filter(|digit| digit.is_ascii_hexdigit()).count() == 2,
            _ => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(byte),
        };
        if !fits {
            return false;
        }
    }
    true
}

fn is_port(text: &[u8]) -> bool {
    let add = |port: u32, byte: &u8| {
        let port = 10 * port + u32::from(byte.checked_sub(b'0').filter(|digit| *digit < 10)?);
        (port <= u16::MAX.into()).then_some(port)
    };
    text.iter().try_fold(0, add).is_some()
}
