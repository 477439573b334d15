use std::fmt;

use lapin::uri::AMQPUri;
use url::{Host, Url};

/// Where the message broker is, and as whom to go there. Shows no password.
#[derive(Clone, PartialEq, Eq)]
pub struct AmqpUrl(AMQPUri);

/// A frame, in bytes: lapin keeps buffers of 64 of them, and an event is smaller than one.
const FRAME: u32 = 16 << 10;
/// The smallest that the protocol allows.
const FRAME_MIN: u32 = 4096;
/// What may be asked for in a URL. TLS is not among it: it is checked by what the machine trusts.
const KNOWN: [&str; 4] = ["auth_mechanism", "channel_max", "frame_max", "heartbeat"];
/// After twice as many seconds without a sign of life the broker is taken for dead.
const HEARTBEAT: u16 = 10;

impl AmqpUrl {
    /// What a URL must be.
    pub const TAKES: &'static str = "amqp://user:password@host:5672/vhost, or amqps://...; %2f is the vhost \"/\"";

    /// Parses a URL, as RabbitMQ's URI specification has it. `None` when it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let are_known = url.query_pairs().all(|(name, _)| KNOWN.contains(&&*name));
        let mut uri: AMQPUri = text.parse().ok()?;
        // lapin takes what it does not understand for the default.
        uri.authority.host = match url.host()? {
            Host::Ipv6(address) => address.to_string(),
            host => host.to_string(),
        };
        let query = &mut uri.query;
        let frame = *query.frame_max.get_or_insert(FRAME);
        query.heartbeat.get_or_insert(HEARTBEAT);
        let is_sane = are_known && frame >= FRAME_MIN && !uri.authority.host.is_empty() && uri.authority.port != 0;
        (is_sane && !uri.vhost.is_empty()).then_some(Self(uri))
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

fn escaped(vhost: &str) -> impl fmt::Display {
    percent_encoding::utf8_percent_encode(vhost, percent_encoding::NON_ALPHANUMERIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let url = AmqpUrl::parse("amqps://ann:s3cret@mq.example.com/users").unwrap();
        assert_eq!(url.to_string(), "amqps://ann:***@mq.example.com:5671/users");
        assert!(!format!("{url:?}").contains("s3cret"));
        let address = AmqpUrl::parse("amqp://[2001:db8::5]:5673/x").unwrap();
        assert_eq!((address.0.authority.host.as_str(), address.0.authority.port), ("2001:db8::5", 5673));
        assert!(AmqpUrl::parse("amqp://mq").unwrap().to_string().ends_with("@mq:5672/%2F"));
    }

    #[test]
    fn other_schemes_are_none() {
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
            assert!(AmqpUrl::parse(text).is_none(), "{text}");
        }
    }
}
