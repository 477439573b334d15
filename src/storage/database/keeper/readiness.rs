//! What `/ready` reports: ready, or the check that fails.

/// Whether requests can be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    Ready,
    Failing(Check),
}

/// What a request needs of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The database cannot be reached, or does not respond.
    Database,
    /// The schema is older than this release: `DB_AUTO_MIGRATE` is off, or migrating fails.
    Migrations,
    /// The database accepts no changes: it is a standby or set to read-only, or a SQLite file is not writable.
    ReadOnly,
    /// The database's encoding cannot store some names.
    Encoding,
    /// The schema was up to date, and is missing or incomplete now.
    Schema,
    /// SQLite's file, its `-wal` or its `-shm` is gone, or is not the file that was opened.
    File,
}

impl Check {
    pub const ALL: [Self; 6] =
        [Self::Database, Self::Migrations, Self::ReadOnly, Self::Encoding, Self::Schema, Self::File];

    /// The name for programs. It never changes.
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

    /// What a failure of the check means, for people.
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
