//! The configuration: the environment and `.env`, as typed settings. Reports all mistakes at once.
//!
//! Each file reads the variables of one part of the service, by `reader`. A mistake never shows a value that may be
//! secret.

mod address;
mod auth;
mod env_file;
mod events;
mod grpc;
mod http;
mod lambda;
mod reader;
mod shutdown;
mod storage;
mod telemetry;

mod traces;

use std::collections::HashMap;
use std::fmt;

use crate::lambda::RuntimeApi;
use env_file::env_file;
use reader::Reader;

pub use reader::Mistake;
pub use shutdown::ShutdownSettings;

/// Everything that can be configured.
#[derive(Clone, Debug)]
pub struct Config {
    pub http: crate::http::Settings,
    pub grpc: crate::grpc::Settings,
    pub storage: crate::storage::Settings,
    pub idempotency: crate::storage::KeyRetention,
    pub auth: crate::auth::Settings,
    pub events: crate::events::Settings,
    pub shutdown: ShutdownSettings,
    pub telemetry: crate::telemetry::Settings,
    /// Lambda's Runtime API, if AWS Lambda runs the service.
    pub lambda: Option<RuntimeApi>,
    effective: Vec<(&'static str, String)>,
}

impl Config {
    /// Reads the environment of the process, and for variables that are not set there the file `.env` in the working
    /// directory. `needs_keys` says whether the command needs keys and certificates.
    ///
    /// # Errors
    /// All mistakes, not only the first.
    pub fn from_environment(needs_keys: bool) -> Result<Self, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        let file = env_file().unwrap_or_else(|mistake| {
            mistakes.push(mistake);
            HashMap::new()
        });
        let lookup = |name: &str| match std::env::var_os(name) {
            // The reader reports a value that is not Unicode: it recognizes the replacement character.
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

    /// Reads variables by `lookup`. An empty variable counts as not set.
    ///
    /// # Errors
    /// All mistakes, not only the first.
    pub fn read(lookup: impl Fn(&str) -> Option<String>, needs_keys: bool) -> Result<Self, Vec<Mistake>> {
        let mut reader = Reader { lookup: &lookup, mistakes: Vec::new(), effective: Vec::new() };
        let lambda = reader.runtime_api();
        let (http, storage, shutdown) = (reader.http(needs_keys), reader.storage(lambda.is_some()), reader.shutdown());
        let idempotency = reader.key_retention();
        let grpc = reader.grpc(http.as_ref(), storage.as_ref());
        let max_connections = http.as_ref().map_or(usize::MAX, |http| http.max_connections);
        let (events, telemetry) = (reader.events(max_connections), reader.telemetry(storage.as_ref()));
        let auth = reader.auth(storage.as_ref().map(|storage| &storage.url), needs_keys);
        if let (Some(_), Some(storage), Some(events)) = (&lambda, &storage, &events) {
            reader.lambda(storage, events);
        }
        match (http, grpc, storage, idempotency, auth, events, shutdown, telemetry) {
            (
                Some(http),
                Some(grpc),
                Some(storage),
                Some(idempotency),
                Some(auth),
                Some(events),
                Some(shutdown),
                Some(telemetry),
            ) if reader.mistakes.is_empty() => {
                let effective = reader.effective;
                Ok(Self { http, grpc, storage, idempotency, auth, events, shutdown, telemetry, lambda, effective })
            }
            _ => Err(reader.mistakes),
        }
    }
}

/// The effective configuration, one line per variable, without secrets.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.effective.iter().try_for_each(|(name, value)| writeln!(f, "{name}={value}"))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::auth::KeySource;
    use crate::storage::DatabaseUrl;

    fn read(variables: &[(&str, &str)]) -> Result<Config, Vec<Mistake>> {
        let variables: HashMap<_, _> = variables.iter().copied().collect();
        Config::read(|name| variables.get(name).map(ToString::to_string), true)
    }

    #[test]
    fn every_variable_has_a_default() {
        let config = read(&[("SERVER_PORT", "")]).unwrap();
        assert_eq!((config.http.host.as_str(), config.http.port), ("127.0.0.1", 3000));
        assert_eq!(config.storage.url, DatabaseUrl::Sqlite("data/users.db".into()));
        assert_eq!(config.storage.pool_size, 11);
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
        assert_eq!(mistakes.first().unwrap().value, "mysql://***");
        let mistakes = read(&[("JWT_SECRET", secret)]).unwrap_err();
        assert_eq!(mistakes.first().unwrap().value, "***");
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
    fn the_local_secret_is_beside_the_database() {
        let config = read(&[("DATABASE_URL", "sqlite:///var/lib/users.db")]).unwrap();
        let KeySource::LocalSecret(path) = config.auth.key else { panic!("{:?}", config.auth) };
        assert_eq!(path, Path::new("/var/lib/users.db.jwt-secret"));
    }

    #[test]
    fn two_keys_are_a_mistake() {
        let secret = "0123456789abcdef0123456789abcdef";
        let mistakes = read(&[("JWT_SECRET", secret), ("JWT_PUBLIC_KEY", "key.pem")]).unwrap_err();
        assert_eq!(mistakes.first().unwrap().name, "JWT_SECRET");
    }
}
