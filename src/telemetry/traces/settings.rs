use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use url::Url;

use super::sampler::Sampler;

/// Where spans are sent, and which. The names follow the standard variables `OTEL_*`.
#[derive(Clone)]
pub struct Settings {
    /// The full URL, path included.
    pub endpoint: Url,
    /// May contain secrets.
    pub headers: HashMap<String, String>,
    pub timeout: Duration,
    pub sampler: Sampler,
    pub service_name: String,
    /// Further attributes of the resource.
    pub resource: Vec<(String, String)>,
    /// The capacity of the queue, in spans. Spans beyond it are dropped.
    pub max_queue: usize,
    /// The most spans in one export.
    pub max_export_batch: usize,
    pub schedule_delay: Duration,
    /// The most links of a span. The span of a batch links to each of its requests.
    pub max_links: u32,
}

/// Omits the headers.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("sampler", &self.sampler).finish_non_exhaustive()
    }
}
