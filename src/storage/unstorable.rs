//! Text that a database's encoding has no place for.
//!
//! PostgreSQL says so by a SQLSTATE that Diesel hides, in the operator's language, and not of which text. So after a failure it
//! is asked for each text whether it can have that.

use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind as Kind, Error as DieselError};
use diesel::sql_types::Text;

use super::batch_error::BatchError;
use super::lane::Ran;
use super::write::Write;
use crate::users::{Error, FieldError};

/// The outcome of a write that failed alone, if it failed for its text; else the failure.
pub(super) fn outcome_of_write(
    postgres: &mut PgConnection,
    batch: &[&Write],
    failure: BatchError,
) -> Result<Vec<Ran<Write>>, BatchError> {
    let ([write], BatchError::NotExecuted(error)) = (batch, &failure) else { return Err(failure) };
    let fields = write.texts().into_iter().filter(|(_, text)| is_unstorable(postgres, text, error));
    let mut fields = Vec::from_iter(fields.map(|(field, _)| field));
    fields.dedup();
    if fields.is_empty() {
        return Err(failure);
    }
    let invalid = |field| FieldError::new(field, "has characters that the database cannot store");
    Ok(vec![Ran::Executed(Err(Error::Invalid(fields.into_iter().map(invalid).collect())))])
}

/// Whether a statement with this text can have failed so because the database has no place for the text.
pub(super) fn is_unstorable(postgres: &mut PgConnection, text: &str, error: &DieselError) -> bool {
    // Every encoding has ASCII.
    !text.is_ascii()
        && matches!(error, DieselError::DatabaseError(Kind::Unknown, _))
        && !takes(postgres, text)
        && takes(postgres, "a")
}

fn takes(postgres: &mut PgConnection, text: &str) -> bool {
    diesel::select(text.into_sql::<Text>()).execute(postgres).is_ok()
}
