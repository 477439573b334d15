mod postgres;
mod sqlite;

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

/// Where the users are.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file, made when it is not there.
    Sqlite(PathBuf),
    /// A libpq connection URI, which may hold a password.
    Postgres(String),
}

impl DatabaseUrl {
    /// Which database it is, in a word: `sqlite` or `postgres`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }

    /// What OpenTelemetry's conventions call it (`db.system.name`).
    pub(crate) const fn system(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgresql",
        }
    }

    /// Parses `sqlite://<path>`, `postgres://...` or `postgresql://...`.
    ///
    /// # Errors
    /// What it takes, in words for the operator, without anything that may be of a password.
    pub fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        let (scheme, rest) = text.split_once("://").unwrap_or_default();
        match scheme.to_ascii_lowercase().as_str() {
            "sqlite" => {
                sqlite::check(rest)?;
                Ok(Self::Sqlite(rest.into()))
            }
            scheme @ ("postgres" | "postgresql") => {
                // libpq knows it in lower case only.
                let uri = format!("{scheme}://{rest}");
                postgres::check(&uri, rest)?;
                Ok(Self::Postgres(uri))
            }
            _ => Err("sqlite://<file>, postgres://... or postgresql://...".into()),
        }
    }
}

/// Whether two hexadecimal digits follow that stand for a character; `%00` stands for none.
fn begins_with_code(after_percent: &str) -> bool {
    let code = after_percent.get(..2).filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()));
    code.is_some_and(|code| code != "00")
}

/// Without secrets.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(text) => f.write_str(&mask(text)),
        }
    }
}

/// As [`fmt::Display`]: a debug print must not tell more.
impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The URI without its password and without its parameters, which may hold one too. What does not parse as a URL (a
/// list of hosts does not) is not shown at all.
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
    fn names_what_it_takes() {
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
