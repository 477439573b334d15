use super::amqp_url::AmqpUrl;

/// How the relay works.
#[derive(Clone, Debug)]
pub struct Settings {
    pub url: AmqpUrl,
    /// The source of the events, a URI reference.
    pub source: String,
    /// How often the broker may refuse an event before the relay gives it up.
    pub max_tries: i64,
}
