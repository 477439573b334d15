//! The variables of the storage.

use super::events::{RETENTION, retention};
use super::reader::{Reader, delay};
use crate::storage::{self, AttributesSchemaFile, DatabaseUrl, EventLog, IndexedAttributes, KeyRetention};

pub(super) const DATABASE_URL: &str = "DATABASE_URL";

const MAX_USER_CACHE: u64 = 1 << 40;
const USER_CACHE_RANGE: &str = "a whole number of bytes from 0 to 1099511627776";

const ATTRIBUTES_SCHEMA: &str = "ATTRIBUTES_SCHEMA";

const ATTRIBUTES_INDEXED: &str = "ATTRIBUTES_INDEXED";

const MAX_KEYS: usize = 1_000_000_000;

const STALENESS_RANGE: &str = "a duration from 0s to 60s, such as 100ms";

impl Reader<'_> {
    pub(super) fn storage(&mut self, on_lambda: bool) -> Option<storage::Settings> {
        let url = self.database_url();
        let lookup_actors = self.count("DB_LOOKUP_ACTORS", "1", 64);
        let page_actors = self.count("DB_PAGE_ACTORS", "2", 64);
        let connections = if on_lambda {
            // One for the only request and one for the keeper. There may be a thousand such processes.
            2
        } else {
            // One for each actor, the writer, atomic batches, imports, what these look up beside, and the keeper; and those
            // of the event log.
            lookup_actors.unwrap_or(1) + page_actors.unwrap_or(2) + 5 + EventLog::CONNECTIONS
        };
        let pool_size = self.count("DB_POOL_SIZE", &connections.to_string(), 1000);
        let mailbox = self.count("DB_MAILBOX", "1024", 1 << 20);
        let max_batch = self.count("DB_MAX_BATCH", "256", 10_000);
        let deadline = self.duration("DB_DEADLINE", "2s");
        let max_wait = self.duration("DB_MAX_WAIT", "1s");
        let connect_timeout = self.duration("DB_CONNECT_TIMEOUT", "1s");
        let auto_migrate = self.word("DB_AUTO_MIGRATE", "true", "true or false", |text| text.parse().ok());
        let user_cache_bytes = self.value("USER_CACHE_BYTES", "16777216", USER_CACHE_RANGE, |text| {
            text.parse().ok().filter(|bytes| *bytes <= MAX_USER_CACHE)
        });
        let max_staleness = self.value("MAX_STALENESS", "0s", STALENESS_RANGE, |text| {
            delay(text).filter(|bound| *bound <= storage::Settings::LONGEST_STALENESS)
        });
        let attributes_schema = self.attributes_schema();
        let attributes_indexed = self.attributes_indexed();
        let is_possible = max_staleness.is_none_or(|bound| bound.is_zero()) || user_cache_bytes != Some(0);
        self.require(
            is_possible,
            "MAX_STALENESS",
            "0s where USER_CACHE_BYTES is 0: only what is in memory may be stale",
        )?;
        Some(storage::Settings {
            url: url?,
            pool_size: u32::try_from(pool_size?).ok()?,
            lookup_actors: lookup_actors?,
            page_actors: page_actors?,
            mailbox: mailbox?,
            max_batch: max_batch?,
            deadline: deadline?,
            max_wait: max_wait?,
            connect_timeout: connect_timeout?,
            auto_migrate: auto_migrate?,
            // Lambda freezes the process between requests.
            builds_indexes: auto_migrate? && !on_lambda,
            user_cache_bytes: user_cache_bytes?,
            max_staleness: max_staleness?,
            attributes_schema,
            attributes_indexed: attributes_indexed?,
        })
    }

    /// Reads the schema's file. `None` if there is none, or a mistake.
    fn attributes_schema(&mut self) -> Option<AttributesSchemaFile> {
        let path = self.text(ATTRIBUTES_SCHEMA).ok()??;
        match AttributesSchemaFile::read(path.clone().into()) {
            Ok(file) => {
                self.effective.push((ATTRIBUTES_SCHEMA, path));
                Some(file)
            }
            Err(error) => {
                self.mistake(ATTRIBUTES_SCHEMA, &path, format!("a file with a JSON Schema (2020-12): this one {error}"))
            }
        }
    }

    fn attributes_indexed(&mut self) -> Option<IndexedAttributes> {
        let Some(text) = self.text(ATTRIBUTES_INDEXED).ok()? else { return Some(IndexedAttributes::default()) };
        let Some(names) = IndexedAttributes::parse(&text) else {
            return self.mistake(ATTRIBUTES_INDEXED, &text, IndexedAttributes::EXPECTED);
        };
        self.effective.push((ATTRIBUTES_INDEXED, text));
        Some(names)
    }

    pub(super) fn key_retention(&mut self) -> Option<KeyRetention> {
        let age = self.value("IDEMPOTENCY_RETENTION", "24h", RETENTION, retention);
        let max_keys = self.count("IDEMPOTENCY_MAX_KEYS", "10000000", MAX_KEYS);
        Some(KeyRetention { age: age?, max_keys: i64::try_from(max_keys?).ok()? })
    }

    /// Reads the database URL. It may contain a password, valid or not, so it is never shown as it is.
    fn database_url(&mut self) -> Option<DatabaseUrl> {
        let text = self.text(DATABASE_URL).ok()?.unwrap_or_else(|| "sqlite://data/users.db".to_owned());
        match DatabaseUrl::parse(&text) {
            Ok(url) => {
                self.effective.push((DATABASE_URL, url.to_string()));
                Some(url)
            }
            Err(expected) => {
                let value = match text.split_once("://") {
                    // A text that is no scheme may be the password.
                    Some((scheme, _))
                        if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte)) =>
                    {
                        format!("{scheme}://***")
                    }
                    Some(_) => "***".to_owned(),
                    None if text.contains(['@', '=']) => "***".to_owned(),
                    None => text,
                };
                self.mistake(DATABASE_URL, &value, expected)
            }
        }
    }
}
