/// Whether requests can be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    Ready,
    Failing(Check),
}

/// What stands between the service and its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The database cannot be reached, or does not answer.
    Database,
    /// The schema is older than this release: `DB_AUTO_MIGRATE` is off, or migrating fails.
    Migrations,
    /// The database takes no changes: it is a standby, or set to be read-only; a SQLite file may not be written.
    ReadOnly,
    /// The database's encoding has no place for some names.
    Encoding,
    /// The schema was up to date, and is gone or incomplete.
    Schema,
    /// SQLite's file is gone, or another one than was opened; or one of those beside it.
    File,
}

impl Check {
    pub const ALL: [Self; 6] =
        [Self::Database, Self::Migrations, Self::ReadOnly, Self::Encoding, Self::Schema, Self::File];

    /// Its name for programs, which never changes.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Migrations => "migrations",
            Self::ReadOnly => "read_only",
            Self::Encoding => "encoding",
            Self::Schema => "schema",
            Self::File => "file",
        }
    }

    /// What it means, for whoever asks why.
    #[must_use]
    pub const fn detail(self) -> &'static str {
        match self {
            Self::Database => "the database does not answer; the log says why",
            Self::Migrations => "the schema is not up to date; the log says why",
            Self::ReadOnly => "the database takes no changes; reads are answered",
            Self::Encoding => "the database's encoding is not UTF-8; names that it cannot store are refused",
            Self::Schema => "tables that were there are gone; the log says more",
            Self::File => "the database's file is gone, or is another one than was opened; the log says more",
        }
    }
}
