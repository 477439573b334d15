//! What a failed statement says about its connection: whether a new one might succeed.
//!
//! A connection that answers may still be the wrong one: to a server that became a standby, with statements prepared
//! before a column changed its type, or of a role whose settings have changed. Diesel hides most SQLSTATEs, and
//! messages come in the operator's language. So this module names the failures that concern rows or other transactions.
//! Every other failure ends the generation, at most once a second, and not if it took as long as a lock may be waited
//! for: then the connection is not at fault.

use diesel::result::{DatabaseErrorKind as Kind, Error as DieselError};

use crate::storage::database::connection::Connection;

/// Whether the connection may be at fault, so that the statement might succeed on a new one.
pub(super) fn suspects_connection(connection: &Connection, error: &DieselError) -> bool {
    match connection {
        // SQLite opens a file for reading if it cannot open it for writing, and the connection stays read-only when the
        // file can be opened for writing again.
        Connection::Sqlite(..) => is_read_only(error),
        Connection::Postgres(..) => !is_about_rows(error),
    }
}

/// Whether the database accepts no changes.
fn is_read_only(error: &DieselError) -> bool {
    match error {
        DieselError::DatabaseError(Kind::ReadOnlyTransaction, _) => true,
        // SQLite's messages are always English.
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
