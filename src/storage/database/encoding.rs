//! Text that a database's encoding has no place for.
//!
//! PostgreSQL says so by a SQLSTATE that Diesel hides, in the operator's language, and not of which text. So after a failure it
//! is asked for each text whether it can have that.

use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind as Kind, Error as DieselError};
use diesel::sql_types::Text;

/// Whether a statement with this text can have failed so because the database has no place for the text.
pub(crate) fn is_unstorable(postgres: &mut PgConnection, text: &str, error: &DieselError) -> bool {
    // Every encoding has ASCII.
    !text.is_ascii()
        && matches!(error, DieselError::DatabaseError(Kind::Unknown, _))
        && !takes(postgres, text)
        && takes(postgres, "a")
}

fn takes(postgres: &mut PgConnection, text: &str) -> bool {
    diesel::select(text.into_sql::<Text>()).execute(postgres).is_ok()
}
