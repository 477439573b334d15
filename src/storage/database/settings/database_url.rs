//! The database URL: which database, and where.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use super::{postgres_uri, sqlite_path};

/// Where the database is.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file, created if it does not exist.
    Sqlite(PathBuf),
    /// A libpq connection URI, which may hold a password.
    Postgres(String),
}

impl DatabaseUrl {
    /// The kind of database in a word: `sqlite` or `postgres`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }

    pub(crate) const fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// The name in OpenTelemetry's conventions (`db.system.name`).
    pub(crate) const fn system(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgresql",
        }
    }

    /// Parses `sqlite://<path>`, `postgres://...` or `postgresql://...`.
    ///
    /// # Errors
    /// What is accepted, in words for the operator, without any text that may belong to a password.
    pub fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        let (scheme, rest) = text.split_once("://").unwrap_or_default();
        match scheme.to_ascii_lowercase().as_str() {
            "sqlite" => {
                sqlite_path::check(rest)?;
                Ok(Self::Sqlite(rest.into()))
            }
            scheme @ ("postgres" | "postgresql") => {
                // libpq accepts the scheme only in lower case.
                let uri = format!("{scheme}://{rest}");
                postgres_uri::check(&uri, rest)?;
                Ok(Self::Postgres(uri))
            }
            _ => Err("sqlite://<file>, postgres://... or postgresql://...".into()),
        }
    }
}

/// Shows no secrets.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(text) => f.write_str(&mask(text)),
        }
    }
}

/// Like [`fmt::Display`], without secrets.
impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Replaces the password and the parameters, which may hold one too. A text that does not parse as a URL, such as one
/// with a list of hosts, is not shown at all.
fn mask(text: &str) -> String {
    let Ok(mut url) = url::Url::parse(text) else {
        return "postgres://***".to_owned();
    };
    if url.password().is_some() && url.set_password(Some("***")).is_err() {
        return "postgres://***".to_owned();
    }
    if url.query().is_some() {
        url.set_query(Some("***"));
    }
    url.set_fragment(None);
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_valid_urls_only() {
        assert_eq!(DatabaseUrl::parse("sqlite://data/users.db"), Ok(DatabaseUrl::Sqlite("data/users.db".into())));
        assert_eq!(DatabaseUrl::parse("sqlite:///data/users.db"), Ok(DatabaseUrl::Sqlite("/data/users.db".into())));
        assert!(DatabaseUrl::parse("postgresql:///users").is_ok());
        for password in ["p@ss", "p/ss", "p?ss", "p#ss", "p ss", "p%ss", "p%4", "p%+1", "p%00"] {
            assert!(DatabaseUrl::parse(&format!("postgres://ann:{password}@db/users")).is_err(), "{password}");
        }
        for host in ["[::1", "[::1]x", "db:p0rt", "one:1,two:x"] {
            assert!(DatabaseUrl::parse(&format!("postgres://ann:s3cret@{host}/users")).is_err(), "{host}");
        }
        for uri in
            ["ann:p%40%2Fss@db:5432/users?sslmode=require", "[::1]:5432/users", "ann@one:1,two/users", "%2Frun/db"]
        {
            assert!(DatabaseUrl::parse(&format!("postgres://{uri}")).is_ok(), "{uri}");
        }
        for text in ["", "mysql://localhost", "sqlite://", "sqlite://:memory:", "users.db"] {
            assert!(DatabaseUrl::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn never_shows_a_password() {
        for (url, shown) in [
            ("postgres://ann:s3cret@db:5432/users", "postgres://ann:***@db:5432/users"),
            ("postgres://db/users?password=s3cret", "postgres://db/users?***"),
            ("postgres://ann:s3cret@one:1,two:2/users", "postgres://***"),
        ] {
            let url = DatabaseUrl::parse(url).unwrap();
            assert_eq!((url.to_string().as_str(), format!("{url:?}").as_str()), (shown, shown));
        }
    }
}
