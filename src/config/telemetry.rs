//! The variables of the log.

use super::reader::Reader;
use crate::storage;
use crate::telemetry::{self, LogFormat};

impl Reader<'_> {
    pub(super) fn telemetry(&mut self, storage: Option<&storage::Settings>) -> Option<telemetry::Settings> {
        let expected = "off, error, warn, info, debug or trace, or a list of one of them for everything and of target=level, \
                     such as warn,user_service=debug, where a target is a path in Rust, and some level is for user_service";
        let level =
            self.value("LOG_LEVEL", "info", expected, |text| telemetry::is_log_level(text).then(|| text.to_owned()));
        let format = self.word("LOG_FORMAT", "text", "text or json", |text| match text {
            "text" => Some(LogFormat::Text),
            "json" => Some(LogFormat::Json),
            _ => None,
        });
        // A batch may execute as many messages left over from the batch before as fit into one.
        let max_links = storage.map_or(0, |storage| 2 * storage.max_batch);
        let traces = self.traces(u32::try_from(max_links).unwrap_or(u32::MAX));
        Some(telemetry::Settings { level: level?, format: format?, traces })
    }
}
