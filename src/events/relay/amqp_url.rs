use std::fmt;

use lapin::uri::{AMQPUri, SASLMechanism};
use url::{Host, ParseError, Url};

/// The broker's address and credentials. Its `Display` and `Debug` hide the password.
#[derive(Clone, PartialEq, Eq)]
pub struct AmqpUrl(AMQPUri);

/// The default frame size, in bytes. An event fits into one frame. lapin allocates buffers of 64 frames, so larger ones
/// would waste memory.
const FRAME: u32 = 16 << 10;
/// The smallest frame size that the protocol allows.
const FRAME_MIN: u32 = 4096;
/// The heartbeat interval, in seconds. The broker counts as dead after two intervals of silence.
const HEARTBEAT: u16 = 10;

const SHAPE: &str = "amqp://user:password@host:5672/vhost, or amqps://...; %2f is the vhost \"/\"; a password's own @ / ? # % and \
                     space are %40 ...";

impl AmqpUrl {
    /// Parses a URL in the format of RabbitMQ's URI specification.
    ///
    /// # Errors
    /// The expected format, for the operator. Contains no part of the text that may belong to the password.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| match error {
            ParseError::InvalidPort => with_shape("a port from 1 to 65535"),
            ParseError::EmptyHost => with_shape("a host"),
            _ => SHAPE.to_owned(),
        })?;
        let host = check_authority(&url)?;
        check_vhost(&url)?;
        url.query_pairs().try_for_each(|(name, value)| check_parameter(&name, &value))?;
        let mut uri: AMQPUri = text.parse().map_err(|_| SHAPE)?;
        // lapin replaces a host that it cannot parse by the default.
        uri.authority.host = host;
        uri.query.frame_max.get_or_insert(FRAME);
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        Ok(Self(uri))
    }

    pub(super) fn uri(&self) -> AMQPUri {
        self.0.clone()
    }
}

impl fmt::Display for AmqpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AMQPUri { scheme, authority, vhost, .. } = &self.0;
        let user = escaped(&authority.userinfo.username);
        write!(f, "{scheme}://{user}:***@{}:{}/{}", authority.host, authority.port, escaped(vhost))
    }
}

impl fmt::Debug for AmqpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

fn with_shape(what: &str) -> String {
    format!("{what}: {SHAPE}")
}

/// Validates the authority and returns the host. Parts in unexpected places may belong to an unescaped password.
fn check_authority(url: &Url) -> Result<String, String> {
    let is_misplaced = url.fragment().is_some() || url.query().is_some_and(|query| query.contains('@'));
    if !matches!(url.scheme(), "amqp" | "amqps") || !url.has_authority() || is_misplaced {
        return Err(SHAPE.to_owned());
    }
    if url.port() == Some(0) {
        return Err(with_shape("a port from 1 to 65535"));
    }
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    match url.host() {
        Some(Host::Ipv6(address)) => Ok(address.to_string()),
        Some(Host::Ipv4(address)) => Ok(address.to_string()),
        Some(Host::Domain(name)) if !name.is_empty() && is_name(name) => Ok(name.to_ascii_lowercase()),
        _ => Err(with_shape("a host")),
    }
}

fn check_vhost(url: &Url) -> Result<(), String> {
    let vhost = url.path().strip_prefix('/');
    // Without a path it is the default vhost.
    let is_one = vhost.is_none_or(|vhost| !vhost.is_empty() && !vhost.contains(['/', '@']));
    if is_one { Ok(()) } else { Err(with_shape("one vhost, its own / and @ written as %2f and %40")) }
}

/// Validates a query parameter. There are none for TLS, which uses the system's certificates, and none for the connect
/// timeout.
fn check_parameter(name: &str, value: &str) -> Result<(), String> {
    let (is_good, takes) = match name {
        "auth_mechanism" => (value.parse::<SASLMechanism>().is_ok(), "the name of a mechanism, such as plain"),
        "channel_max" => (value.parse::<u16>().is_ok(), "a whole number up to 65535"),
        "frame_max" => (value.parse().is_ok_and(|size: u32| size >= FRAME_MIN), "bytes, 4096 or more"),
        "heartbeat" => (value.parse::<u16>().is_ok(), "seconds, up to 65535"),
        _ => {
            let is_word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            let name = if is_word { name } else { "***" };
            return Err(format!("no parameter {name}, only auth_mechanism, channel_max, frame_max and heartbeat"));
        }
    };
    if is_good { Ok(()) } else { Err(format!("as the parameter {name} {takes}")) }
}

fn escaped(vhost: &str) -> impl fmt::Display {
    percent_encoding::utf8_percent_encode(vhost, percent_encoding::NON_ALPHANUMERIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_hidden() {
        let url = AmqpUrl::parse("amqps://ann:s3cret@mq.example.com/users").unwrap();
        assert_eq!(url.to_string(), "amqps://ann:***@mq.example.com:5671/users");
        assert!(!format!("{url:?}").contains("s3cret"));
        let address = AmqpUrl::parse("amqp://[2001:db8::5]:5673/x").unwrap();
        assert_eq!((address.0.authority.host.as_str(), address.0.authority.port), ("2001:db8::5", 5673));
        assert!(AmqpUrl::parse("amqp://mq").unwrap().to_string().ends_with("@mq:5672/%2F"));
    }

    #[test]
    fn invalid_urls_are_rejected() {
        for text in [
            "",
            "mq",
            "http://mq",
            "amqp:mq",
            "amqp://",
            "amqp:///x",
            "amqp://mq/",
            "amqp://mq:0/x",
            "amqp://mq/x?hartbeat=3",
            "amqp://mq/x?cacertfile=ca.pem",
            "amqp://mq/x?frame_max=1",
            "amqp://mq/x?heartbeat=x",
            "amqp://a:%ff@mq/x",
        ] {
            assert!(AmqpUrl::parse(text).is_err(), "{text}");
        }
    }
}
