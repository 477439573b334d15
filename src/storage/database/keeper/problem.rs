//! Why the database cannot serve requests.

use std::time::Duration;

use super::readiness::Check;
use crate::storage::database::pool::sqlite_files::Displaced;
use crate::storage::database::schema::migrations::MigrateError;

/// Why the database is not ready.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("cannot connect: {0}")]
    Connect(#[from] r2d2::Error),
    #[error("cannot connect: {0}")]
    Reconnect(diesel::r2d2::Error),
    #[error("{0}")]
    Migrate(#[from] MigrateError),
    #[error("migrations are pending and DB_AUTO_MIGRATE is false: run `user-service migrate`")]
    Pending,
    #[error("no sign of life: {0}")]
    NoResponse(diesel::result::Error),
    #[error("it is read-only: a standby, or set to be so, or a file that may not be written")]
    ReadOnly,
    #[error("its encoding is {0}, which cannot store every name: it has to be UTF8")]
    Encoding(String),
    #[error("tables that were there are gone; they are not made anew, for it may be a mistake, or a restore under way")]
    SchemaGone,
    #[error("the schema is not as it has to be: {0}")]
    SchemaBroken(diesel::result::Error),
    #[error("{0}")]
    File(#[from] Displaced),
}

impl Problem {
    /// The check that fails.
    pub(super) const fn check(&self) -> Check {
        match self {
            Self::Pending | Self::Migrate(_) => Check::Migrations,
            Self::Connect(_) | Self::Reconnect(_) | Self::NoResponse(_) => Check::Database,
            Self::ReadOnly => Check::ReadOnly,
            Self::Encoding(_) => Check::Encoding,
            Self::SchemaGone | Self::SchemaBroken(_) => Check::Schema,
            Self::File(_) => Check::File,
        }
    }

    /// Whether the database responds, but is not as requests need it.
    pub(super) const fn is_unfit(&self) -> bool {
        !matches!(self.check(), Check::Database | Check::Migrations)
    }

    /// How long to wait before the next check. Each check of an unfit database needs a new connection, so those are
    /// rarer.
    pub(super) const fn pause(&self) -> Duration {
        const RETRY: Duration = Duration::from_millis(200);
        const UNFIT_RETRY: Duration = Duration::from_secs(1);
        match self.check() {
            Check::Database | Check::Migrations | Check::File => RETRY,
            Check::ReadOnly | Check::Encoding | Check::Schema => UNFIT_RETRY,
        }
    }
}
