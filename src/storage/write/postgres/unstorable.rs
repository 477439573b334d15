//! The outcome of a write whose text PostgreSQL cannot store.

use diesel::pg::PgConnection;
use diesel::result::Error as DieselError;

use crate::domain::FieldError;
use crate::storage::database::connection::batch_error::BatchError;
use crate::storage::database::unstorable_text::is_unstorable;
use crate::storage::engine::request::Execution;
use crate::storage::write::request::Write;

/// The outcome of a write that failed alone, if its text caused the failure; otherwise the failure itself.
pub(in crate::storage::write) fn outcome_of_write(
    postgres: &mut PgConnection,
    batch: &[&Write],
    failure: BatchError,
) -> Result<Vec<Execution<Write>>, BatchError> {
    let ([write], BatchError::NotExecuted(error)) = (batch, &failure) else { return Err(failure) };
    let fields = fields(postgres, write, error);
    if fields.is_empty() { Err(failure) } else { Ok(vec![Execution::Executed(Err(fields.into()))]) }
}

/// The fields of a write that PostgreSQL cannot store, if its statement can have failed for that.
pub(in crate::storage::write) fn fields(
    postgres: &mut PgConnection,
    write: &Write,
    error: &DieselError,
) -> Vec<FieldError> {
    let fields = write.texts().into_iter().filter(|(_, text)| is_unstorable(postgres, text, error));
    let mut fields = Vec::from_iter(fields.map(|(field, _)| field));
    fields.dedup();
    let invalid = |field| FieldError::new(field, "has characters that the database cannot store");
    fields.into_iter().map(invalid).collect()
}
