//! The environment, and `.env`, as typed settings. Reports every mistake at once.

mod address;
mod env_file;
mod reader;
mod tokens;
mod traces;

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use address::{host, http_url, uri_reference};
use env_file::env_file;
use reader::{Reader, duration};

use crate::http::Origins;
use crate::lambda::RuntimeApi;
use crate::net::Tls;
use crate::storage::{DatabaseUrl, EventLog, Retention};
use crate::telemetry::{self, AccessLog, LogFormat};
use crate::{auth, events, grpc, http, storage};

pub use reader::Mistake;

/// Everything that can be configured.
#[derive(Clone, Debug)]
pub struct Config {
    pub http: http::Settings,
    pub grpc: grpc::Settings,
    pub storage: storage::Settings,
    pub auth: auth::Settings,
    pub events: events::Settings,
    pub shutdown: ShutdownSettings,
    pub telemetry: telemetry::Settings,
    /// Where AWS Lambda is asked what to answer, if that runs the service.
    pub lambda: Option<RuntimeApi>,
    effective: Vec<(&'static str, String)>,
}

/// How the service ends.
#[derive(Clone, Copy, Debug)]
pub struct ShutdownSettings {
    /// How long it still accepts requests after it has said, in `/ready`, that it will not: load balancers need to see it.
    pub delay: Duration,
    /// How long all of it may take.
    pub grace: Duration,
}

impl Config {
    /// Reads the environment of the process; what it does not set, the file `.env` in the working directory may. Whether
    /// there must be keys and certificates depends on what is to be done.
    ///
    /// # Errors
    /// Every mistake, not only the first.
    pub fn from_environment(needs_keys: bool) -> Result<Self, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        let file = env_file().unwrap_or_else(|mistake| {
            mistakes.push(mistake);
            HashMap::new()
        });
        let lookup = |name: &str| match std::env::var_os(name) {
            // What is no Unicode is reported by the reader, which knows it by what stands in its place.
            Some(value) if !value.is_empty() => Some(value.to_string_lossy().into_owned()),
            _ => file.get(name).cloned(),
        };
        let config = Self::read(lookup, needs_keys);
        if mistakes.is_empty() {
            return config;
        }
        mistakes.extend(config.err().into_iter().flatten());
        Err(mistakes)
    }

    /// Reads variables from wherever `lookup` finds them. One that is empty counts as not set.
    ///
    /// # Errors
    /// Every mistake, not only the first.
    pub fn read(lookup: impl Fn(&str) -> Option<String>, needs_keys: bool) -> Result<Self, Vec<Mistake>> {
        let mut reader = Reader { lookup: &lookup, mistakes: Vec::new(), effective: Vec::new() };
        let lambda = reader.runtime_api();
        let (http, storage, shutdown) = (reader.http(needs_keys), reader.storage(lambda.is_some()), reader.shutdown());
        let grpc = reader.grpc(http.as_ref(), storage.as_ref());
        let max_connections = http.as_ref().map_or(usize::MAX, |http| http.max_connections);
        let (events, telemetry) = (reader.events(max_connections), reader.telemetry(storage.as_ref()));
        let auth = reader.auth(storage.as_ref().map(|storage| &storage.url), needs_keys);
        if let (Some(_), Some(storage), Some(events)) = (&lambda, &storage, &events) {
            reader.lambda(storage, events);
        }
        match (http, grpc, storage, auth, events, shutdown, telemetry) {
            (Some(http), Some(grpc), Some(storage), Some(auth), Some(events), Some(shutdown), Some(telemetry))
                if reader.mistakes.is_empty() =>
            {
                let effective = reader.effective;
                Ok(Self { http, grpc, storage, auth, events, shutdown, telemetry, lambda, effective })
            }
            _ => Err(reader.mistakes),
        }
    }
}

/// The effective configuration, a line for each variable, without secrets.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.effective.iter().try_for_each(|(name, value)| writeln!(f, "{name}={value}"))
    }
}

const AMQP_URL: &str = "AMQP_URL";
const DATABASE_URL: &str = "DATABASE_URL";
const TLS_CERT: &str = "TLS_CERT";
const TLS_KEY: &str = "TLS_KEY";

impl Reader<'_> {
    fn http(&mut self, needs_keys: bool) -> Option<http::Settings> {
        let host = self.word("SERVER_HOST", "127.0.0.1", "a host name or an IP address", host);
        let port =
            self.value("SERVER_PORT", "3000", "a port, 0 to 65535 (0 picks a free one)", |text| text.parse().ok());
        let workers = self.count("SERVER_WORKERS", &cores().to_string(), 512);
        let max_connections = self.count("MAX_CONNECTIONS", "10000", 1_000_000);
        let max_head_bytes = self.count("MAX_HEAD_BYTES", "16384", 128 << 10);
        let max_body_bytes = self.count("MAX_BODY_BYTES", "65536", 16 << 20);
        let head_timeout = self.duration("HEAD_TIMEOUT", "5s");
        let body_timeout = self.duration("BODY_TIMEOUT", "10s");
        let response_timeout = self.duration("RESPONSE_TIMEOUT", "15s");
        let keep_alive = self.duration("KEEP_ALIVE", "60s");
        let origins = self.origins();
        let access_log = self.word("ACCESS_LOG", "problems", "all, problems or off", AccessLog::parse);
        let slow_request = self.duration("SLOW_REQUEST", "1s");
        let files = self.tls_files();
        let over_tls = files.is_some();
        let tls = files.filter(|_| needs_keys).and_then(|files| self.tls(files));
        Some(http::Settings {
            host: host?,
            port: port?,
            workers: workers?,
            max_connections: max_connections?,
            max_head_bytes: max_head_bytes?,
            max_body_bytes: max_body_bytes?,
            head_timeout: head_timeout?,
            body_timeout: body_timeout?,
            response_timeout: response_timeout?,
            keep_alive: keep_alive?,
            origins: origins?,
            access_log: access_log?,
            slow_request: slow_request?,
            over_tls,
            tls,
        })
    }

    /// What is not said here is as for HTTP.
    fn grpc(&mut self, http: Option<&http::Settings>, storage: Option<&storage::Settings>) -> Option<grpc::Settings> {
        const GRPC_PORT: &str = "GRPC_PORT";
        let port = self.value(GRPC_PORT, "50051", "a port, 0 to 65535 (0 picks a free one)", |text| text.parse().ok());
        let max_streams = self.count("GRPC_MAX_STREAMS", "128", 10_000);
        let ping_interval = self.duration("GRPC_PING_INTERVAL", "30s");
        let max_connection_age = self.duration("GRPC_MAX_CONNECTION_AGE", "30m");
        let http = http?;
        let is_free = port.is_none_or(|port| port == 0 || port != http.port);
        self.require(is_free, GRPC_PORT, "another port than SERVER_PORT")?;
        Some(grpc::Settings {
            host: http.host.clone(),
            port: port?,
            max_streams: u32::try_from(max_streams?).ok()?,
            // As many as there may be requests over HTTP.
            max_calls: http.max_connections,
            max_head_bytes: u32::try_from(http.max_head_bytes).ok()?,
            max_message_bytes: http.max_body_bytes,
            head_timeout: http.head_timeout,
            response_timeout: http.response_timeout,
            // For the message to arrive, and for the database to answer.
            call_timeout: http.body_timeout + storage?.deadline,
            keep_alive: http.keep_alive,
            ping_interval: ping_interval?,
            max_connection_age: max_connection_age?,
            access_log: http.access_log,
            slow_request: http.slow_request,
            tls: http.tls.clone(),
        })
    }

    fn origins(&mut self) -> Option<Origins> {
        let takes = "origins between commas, such as https://example.com, or *";
        let is_one = |origin: &str| matches!(origin, "" | "*") || http_url(origin).is_some();
        self.word("CORS_ORIGINS", "", takes, |text| {
            Origins::parse(text).filter(|_| text.split(',').map(str::trim).all(is_one))
        })
    }

    /// The paths of the certificate and of its key. `None` when there is no TLS, and when there is a mistake.
    fn tls_files(&mut self) -> Option<(String, String)> {
        let (certificate, key) = (self.text(TLS_CERT), self.text(TLS_KEY));
        match (certificate.ok()?, key.ok()?) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (certificate, _) => {
                let missing = if certificate.is_none() { TLS_CERT } else { TLS_KEY };
                self.mistake(missing, "", "a PEM file: TLS_CERT and TLS_KEY go together")
            }
        }
    }

    /// `None` when there is a mistake.
    fn tls(&mut self, (certificate, key): (String, String)) -> Option<Tls> {
        match Tls::load(certificate.clone().into(), key.into()) {
            Ok(tls) => {
                self.effective.extend([(TLS_CERT, certificate), (TLS_KEY, "***".to_owned())]);
                Some(tls)
            }
            Err(error) => {
                let takes = "a PEM file with a chain of certificates, and TLS_KEY one with the key of the first";
                self.mistake(TLS_CERT, &certificate, format!("{takes}: {error}"))
            }
        }
    }

    /// AWS Lambda says where it is asked; `cargo lambda` adds a path.
    fn runtime_api(&mut self) -> Option<RuntimeApi> {
        let name = "AWS_LAMBDA_RUNTIME_API";
        let text = self.text(name).ok()??;
        let host = text.strip_prefix("http://").unwrap_or(&text);
        if host.contains("//") || host.contains(['?', '#']) || http_url(&format!("http://{host}")).is_none() {
            return self.mistake(name, "***", "a host and a port, such as 127.0.0.1:9001");
        }
        Some(RuntimeApi::at(&text))
    }

    /// What AWS Lambda cannot do: its files are gone with the process, and between two requests nothing runs.
    fn lambda(&mut self, storage: &storage::Settings, events: &events::Settings) {
        let is_kept = matches!(storage.url, DatabaseUrl::Postgres(_));
        self.require(is_kept, DATABASE_URL, "on AWS Lambda postgres://: files do not last there");
        let takes = "nothing on AWS Lambda: it stops between requests, so a replica that runs relays the events";
        self.require(events.relay.is_none(), AMQP_URL, takes);
    }

    fn storage(&mut self, on_lambda: bool) -> Option<storage::Settings> {
        let url = self.database_url();
        let lookup_actors = self.count("DB_LOOKUP_ACTORS", "1", 64);
        let page_actors = self.count("DB_PAGE_ACTORS", "2", 64);
        let connections = if on_lambda {
            // For the one request and the keeper. There may be a thousand such processes.
            2
        } else {
            // One for each actor, the writer and the keeper, and those for the log of events.
            lookup_actors.unwrap_or(1) + page_actors.unwrap_or(2) + 2 + EventLog::CONNECTIONS
        };
        let pool_size = self.count("DB_POOL_SIZE", &connections.to_string(), 1000);
        let mailbox = self.count("DB_MAILBOX", "1024", 1 << 20);
        let max_batch = self.count("DB_MAX_BATCH", "256", 10_000);
        let deadline = self.duration("DB_DEADLINE", "2s");
        let max_wait = self.duration("DB_MAX_WAIT", "1s");
        let connect_timeout = self.duration("DB_CONNECT_TIMEOUT", "1s");
        let auto_migrate = self.word("DB_AUTO_MIGRATE", "true", "true or false", |text| text.parse().ok());
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
        })
    }

    fn events(&mut self, max_connections: usize) -> Option<events::Settings> {
        let takes = "a URI reference, such as /users or https://users.example.com";
        let source = self.value("EVENTS_SOURCE", "/user-service", takes, uri_reference);
        let takes = "a duration from 1m to 10y, such as 12h or 7d";
        let events = self.value("EVENTS_RETENTION", "7d", takes, retention);
        let parked = self.value("EVENTS_PARKED_RETENTION", "30d", takes, retention);
        let max_parked = self.count("EVENTS_MAX_PARKED", "10000", 1 << 20);
        // Others are to be served too.
        let readers = (max_connections / 5).clamp(1, 2000);
        let max_readers = self.count("EVENTS_MAX_READERS", &readers.to_string(), 1 << 20);
        let takes = "less than MAX_CONNECTIONS, or one";
        let leaves_room = max_readers.is_none_or(|it| it < max_connections.max(2));
        let room = self.require(leaves_room, "EVENTS_MAX_READERS", takes);
        let max_tries = self.count("EVENTS_MAX_TRIES", "20", 1000);
        let broker = self.broker();
        room?;
        let max_tries = i64::try_from(max_tries?).ok()?;
        let relay = |url| Some(events::RelaySettings { url, source: source.clone()?, max_tries });
        Some(events::Settings {
            relay: broker.and_then(relay),
            source: source?,
            retention: Retention { events: events?, parked: parked?, max_parked: i64::try_from(max_parked?).ok()? },
            max_readers: max_readers?,
        })
    }

    /// `None` when there is none, and when there is a mistake.
    fn broker(&mut self) -> Option<events::AmqpUrl> {
        match events::AmqpUrl::parse(&self.text(AMQP_URL).ok()??) {
            Ok(url) => {
                self.effective.push((AMQP_URL, url.to_string()));
                Some(url)
            }
            // It may hold a password.
            Err(takes) => self.mistake(AMQP_URL, "***", takes),
        }
    }

    fn shutdown(&mut self) -> Option<ShutdownSettings> {
        let delay = self.delay("SHUTDOWN_DELAY", "1s");
        let grace = self.duration("SHUTDOWN_GRACE", "20s");
        let settings = ShutdownSettings { delay: delay?, grace: grace? };
        self.require(settings.delay < settings.grace, "SHUTDOWN_DELAY", "a duration below that of SHUTDOWN_GRACE")?;
        Some(settings)
    }

    fn telemetry(&mut self, storage: Option<&storage::Settings>) -> Option<telemetry::Settings> {
        let takes = "off, error, warn, info, debug or trace, or a list of one of them for everything and of target=level, \
                     such as warn,user_service=debug, where a target is a path in Rust, and some level is for user_service";
        let level =
            self.value("LOG_LEVEL", "info", takes, |text| telemetry::is_log_level(text).then(|| text.to_owned()));
        let format = self.word("LOG_FORMAT", "text", "text or json", |text| match text {
            "text" => Some(LogFormat::Text),
            "json" => Some(LogFormat::Json),
            _ => None,
        });
        // As many may be left over from the batch before as go into one.
        let max_links = storage.map_or(0, |storage| 2 * storage.max_batch);
        let traces = self.traces(u32::try_from(max_links).unwrap_or(u32::MAX));
        Some(telemetry::Settings { level: level?, format: format?, traces })
    }

    /// Its value may hold a password, whether it is right or wrong: neither is shown as it stands.
    fn database_url(&mut self) -> Option<DatabaseUrl> {
        let text = self.text(DATABASE_URL).ok()?.unwrap_or_else(|| "sqlite://data/users.db".to_owned());
        match DatabaseUrl::parse(&text) {
            Ok(url) => {
                self.effective.push((DATABASE_URL, url.to_string()));
                Some(url)
            }
            Err(takes) => {
                let held = match text.split_once("://") {
                    // What is no scheme may be the password.
                    Some((scheme, _))
                        if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte)) =>
                    {
                        format!("{scheme}://***")
                    }
                    Some(_) => "***".to_owned(),
                    None if text.contains(['@', '=']) => "***".to_owned(),
                    None => text,
                };
                self.mistake(DATABASE_URL, &held, takes)
            }
        }
    }
}

fn retention(text: &str) -> Option<Duration> {
    let bounds = Duration::from_mins(1)..=Duration::from_hours(24 * 3653);
    duration(text).filter(|it| bounds.contains(it))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::auth::KeySource;

    fn read(variables: &[(&str, &str)]) -> Result<Config, Vec<Mistake>> {
        let variables: HashMap<_, _> = variables.iter().copied().collect();
        Config::read(|name| variables.get(name).map(ToString::to_string), true)
    }

    #[test]
    fn everything_has_a_default() {
        let config = read(&[("SERVER_PORT", "")]).unwrap();
        assert_eq!((config.http.host.as_str(), config.http.port), ("127.0.0.1", 3000));
        assert_eq!(config.storage.url, DatabaseUrl::Sqlite("data/users.db".into()));
        assert_eq!(config.storage.pool_size, 8);
    }

    #[test]
    fn every_mistake_is_reported_at_once() {
        let mistakes =
            read(&[("SERVER_PORT", "70000"), ("DB_DEADLINE", "2"), ("LOG_FORMAT", "xml"), ("DB_MAILBOX", "0")]);
        let names = Vec::from_iter(mistakes.unwrap_err().iter().map(|mistake| mistake.name));
        assert_eq!(names, ["SERVER_PORT", "DB_MAILBOX", "DB_DEADLINE", "LOG_FORMAT"]);
    }

    #[test]
    fn a_password_is_never_shown() {
        let secret = "s3cret";
        let config =
            read(&[("DATABASE_URL", "postgres://ann:s3cret@db/users"), ("JWT_SECRET", &secret.repeat(6))]).unwrap();
        assert!(!format!("{config}{config:?}").contains(secret));
        let mistakes = read(&[("DATABASE_URL", "mysql://ann:s3cret@db/users")]).unwrap_err();
        assert_eq!(mistakes.first().unwrap().held, "mysql://***");
        let mistakes = read(&[("JWT_SECRET", secret)]).unwrap_err();
        assert_eq!(mistakes.first().unwrap().held, "***");
    }

    #[test]
    fn postgresql_needs_a_key() {
        let postgres = ("DATABASE_URL", "postgres://db/users");
        assert_eq!(read(&[postgres]).unwrap_err().first().unwrap().name, "JWT_SECRET");
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/keys/ed.pub.pem");
        assert!(read(&[postgres, ("JWT_PUBLIC_KEY", file)]).is_ok());
        assert!(Config::read(|name| (name == postgres.0).then(|| postgres.1.to_owned()), false).is_ok());
    }

    #[test]
    fn the_local_secret_lies_beside_the_database() {
        let config = read(&[("DATABASE_URL", "sqlite:///var/lib/users.db")]).unwrap();
        let KeySource::LocalSecret(path) = config.auth.key else { panic!("{:?}", config.auth) };
        assert_eq!(path, Path::new("/var/lib/users.db.jwt-secret"));
    }

    #[test]
    fn two_keys_are_one_too_many() {
        let secret = "0123456789abcdef0123456789abcdef";
        let mistakes = read(&[("JWT_SECRET", secret), ("JWT_PUBLIC_KEY", "key.pem")]).unwrap_err();
        assert_eq!(mistakes.first().unwrap().name, "JWT_SECRET");
    }
}
