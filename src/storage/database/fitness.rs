//! What a failed statement says about the connection that it ran on: whether a new one might not have failed.
//!
//! Diesel tells a dozen SQLSTATEs apart and hides the others, and a server writes its messages in its operator's language. So
//! what is known to be about rows, or about other transactions, is named here, and everything else counts against the
//! connection: a server that takes no more changes (25006), a statement that was prepared before a column changed its type
//! (0A000), a role that lost a right or got other settings. SQLite prepares anew by itself, and its messages are always English.

use diesel::result::{DatabaseErrorKind as Kind, Error as DieselError};

use super::connection::Connection;

/// Whether the failure may be of the connection's own making.
pub(super) fn counts_against(connection: &Connection, error: &DieselError) -> bool {
    match connection {
        // It opens a file that may not be written for reading, and stays so when that changes.
        Connection::Sqlite(_) => is_read_only(error),
        Connection::Postgres(_) => !is_about_rows(error),
    }
}

/// Whether the database takes no changes.
fn is_read_only(error: &DieselError) -> bool {
    match error {
        DieselError::DatabaseError(Kind::ReadOnlyTransaction, _) => true,
        DieselError::DatabaseError(Kind::Unknown, cause) => cause.message() == "attempt to write a readonly database",
        _ => false,
    }
}

const fn is_about_rows(error: &DieselError) -> bool {
    matches!(
        error,
        DieselError::NotFound
            | DieselError::DatabaseError(
                Kind::UniqueViolation
                    | Kind::ForeignKeyViolation
                    | Kind::NotNullViolation
                    | Kind::CheckViolation
                    | Kind::RestrictViolation
                    | Kind::ExclusionViolation
                    | Kind::SerializationFailure,
                _,
            )
    )
}
