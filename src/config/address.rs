//! Parses hosts and URLs, more strictly than the parsers that use them, which accept nearly everything.

use std::net::{IpAddr, Ipv6Addr};

use url::{Host, Url};

/// A host name or an IP address. An IPv6 address may be in brackets.
pub(super) fn host(text: &str) -> Option<String> {
    let bracketed = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let is_address = bracketed.map_or_else(|| text.parse::<IpAddr>().is_ok(), |text| text.parse::<Ipv6Addr>().is_ok());
    (is_address || is_host_name(text)).then(|| text.to_owned())
}

/// A URL with `https://` or `http://`, without user and password, and without characters that the parser would replace.
pub(super) fn http_url(text: &str) -> Option<Url> {
    let (_, rest) = text.split_once(':')?;
    let is_whole = rest.starts_with("//") && !rest.starts_with("///");
    let is_plain = !text.contains(|it: char| it.is_whitespace() || it == '\\');
    let url = Url::parse(text).ok().filter(|url| is_whole && is_plain && matches!(url.scheme(), "http" | "https"))?;
    let is_host = match url.host()? {
        Host::Domain(name) => is_host_name(name),
        _ => true,
    };
    let is_open = url.username().is_empty() && url.password().is_none();
    (is_host && is_open && url.port() != Some(0)).then_some(url)
}

/// A URI reference (RFC 3986). Checks only its characters and its length.
pub(super) fn uri_reference(text: &str) -> Option<String> {
    let base = Url::parse("http://host/").ok()?;
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"{}|\\^`".contains(&byte));
    (plain && text.len() <= 256 && base.join(text).is_ok()).then(|| text.to_owned())
}

/// Whether the text is labels between dots. The last label is not a number, or the name would be parsed as an address
/// (URL standard, "ends in a number").
fn is_host_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    name.split('.').all(is_label) && !name.rsplit('.').next().is_some_and(is_number)
}
