use super::relay;
use crate::storage::Retention;

/// How events are published and retained. `config` documents every value.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The source of the events, a URI reference.
    pub source: String,
    pub retention: Retention,
    /// The most concurrent readers of the live stream.
    pub max_readers: usize,
    /// The relay to a broker, if there is one.
    pub relay: Option<relay::Settings>,
}
