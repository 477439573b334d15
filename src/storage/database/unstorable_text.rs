//! Detects text that the database's encoding cannot store.
//!
//! PostgreSQL reports this by a SQLSTATE that Diesel hides and in the operator's language, and does not say which text
//! it means. So after a failure each text is sent to the server by itself.

use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind as Kind, Error as DieselError};
use diesel::sql_types::Text;

/// Whether a statement can have failed because the database cannot store this text.
pub(crate) fn is_unstorable(postgres: &mut PgConnection, text: &str, error: &DieselError) -> bool {
    // Every encoding includes ASCII.
    !text.is_ascii()
        && matches!(error, DieselError::DatabaseError(Kind::Unknown, _))
        && !accepts(postgres, text)
        && accepts(postgres, "a")
}

fn accepts(postgres: &mut PgConnection, text: &str) -> bool {
    diesel::select(text.into_sql::<Text>()).execute(postgres).is_ok()
}
