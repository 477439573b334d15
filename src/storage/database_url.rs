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
    /// Parses `sqlite://<path>`, `postgres://...` or `postgresql://...`.
    ///
    /// # Errors
    /// What it takes, in words for the operator.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if let Some(path) = text.strip_prefix("sqlite://") {
            // Each connection to `:memory:` would be a database of its own.
            return match path {
                "" | ":memory:" => Err("a file after sqlite://"),
                path => Ok(Self::Sqlite(path.into())),
            };
        }
        if let Some(rest) = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://")) {
            if !is_escaped(rest) {
                return Err("a URI in which a password's own @ / ? # % and spaces are written %40 %2F %3F %23 %25 %20");
            }
            return Ok(Self::Postgres(text.to_owned()));
        }
        Err("sqlite://<file>, postgres://... or postgresql://...")
    }
}

/// Whether every character that would end a password early is escaped. libpq takes some of these for the host, or for a
/// mistake, and then shows them in its error.
fn is_escaped(rest: &str) -> bool {
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let percent = rest.split('%').skip(1);
    authority.matches('@').count() <= 1
        && !path.contains(['@', '#'])
        && !rest.contains(|character: char| character.is_whitespace() || character.is_control())
        && percent.map(|after| after.get(..2)).all(|code| code.is_some_and(|code| u8::from_str_radix(code, 16).is_ok()))
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
        for password in ["p@ss", "p/ss", "p?ss", "p#ss", "p ss", "p%ss", "p%4"] {
            assert!(DatabaseUrl::parse(&format!("postgres://ann:{password}@db/users")).is_err(), "{password}");
        }
        assert!(DatabaseUrl::parse("postgres://ann:p%40%2Fss@db:5432/users?sslmode=require").is_ok());
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
