//! AWS Lambda: the variable that it sets, and the settings that do not work there.

use super::address::http_url;
use super::events::AMQP_URL;
use super::reader::Reader;
use super::storage::DATABASE_URL;
use crate::events;
use crate::lambda::RuntimeApi;
use crate::storage::{self, DatabaseUrl};

impl Reader<'_> {
    /// The Runtime API's address, which AWS Lambda sets. `cargo lambda` adds a path.
    pub(super) fn runtime_api(&mut self) -> Option<RuntimeApi> {
        let name = "AWS_LAMBDA_RUNTIME_API";
        let text = self.text(name).ok()??;
        let host = text.strip_prefix("http://").unwrap_or(&text);
        if host.contains("//") || host.contains(['?', '#']) || http_url(&format!("http://{host}")).is_none() {
            return self.mistake(name, "***", "a host and a port, such as 127.0.0.1:9001");
        }
        Some(RuntimeApi::at(&text))
    }

    /// Rejects settings that do not work on AWS Lambda: files are lost with the process, and nothing runs between two
    /// requests.
    pub(super) fn lambda(&mut self, storage: &storage::Settings, events: &events::Settings) {
        let is_kept = matches!(storage.url, DatabaseUrl::Postgres(_));
        self.require(is_kept, DATABASE_URL, "on AWS Lambda postgres://: files do not last there");
        let expected = "nothing on AWS Lambda: it stops between requests, so a replica that runs relays the events";
        self.require(events.relay.is_none(), AMQP_URL, expected);
    }
}
