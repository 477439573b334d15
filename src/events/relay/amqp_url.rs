use std::fmt;

use lapin::uri::AMQPUri;

/// Where the message broker is, and as whom to go there. Shows no password.
#[derive(Clone, PartialEq, Eq)]
pub struct AmqpUrl(AMQPUri);

/// A frame, in bytes: lapin keeps buffers of 64 of them, and an event is smaller than one.
const FRAME: u32 = 16 << 10;
/// After twice as many seconds without a sign of life the broker is taken for dead.
const HEARTBEAT: u16 = 10;

impl AmqpUrl {
    /// What a URL must be.
    pub const TAKES: &'static str = "amqp://user:password@host:5672/vhost, or amqps://...; %2f is the vhost \"/\"";

    /// Parses a URL, as RabbitMQ's URI specification has it. `None` when it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut uri: AMQPUri = text.parse().ok()?;
        let query = &mut uri.query;
        query.frame_max.get_or_insert(FRAME);
        query.heartbeat.get_or_insert(HEARTBEAT);
        Some(Self(uri))
    }

    pub(super) fn uri(&self) -> AMQPUri {
        self.0.clone()
    }
}

impl fmt::Display for AmqpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AMQPUri { scheme, authority, vhost, .. } = &self.0;
        write!(
            f,
            "{scheme}://{}:***@{}:{}/{}",
            authority.userinfo.username,
            authority.host,
            authority.port,
            escaped(vhost)
        )
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
        assert!(AmqpUrl::parse("amqp://mq").unwrap().to_string().ends_with("@mq:5672/%2F"));
    }

    #[test]
    fn other_schemes_are_none() {
        for text in ["", "mq", "http://mq", "amqp:mq"] {
            assert!(AmqpUrl::parse(text).is_none(), "{text}");
        }
    }
}
