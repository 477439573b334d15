//! The outcome of a write whose text PostgreSQL cannot store.

use diesel::pg::PgConnection;

use super::request::Write;
use crate::domain::{Error, FieldError};
use crate::storage::database::connection::batch_error::BatchError;
use crate::storage::database::unstorable_text::is_unstorable;
use crate::storage::engine::request::Execution;

/// The outcome of a write that failed alone, if its text caused the failure; otherwise the failure itself.
pub(super) fn outcome_of_write(
    postgres: &mut PgConnection,
    batch: &[&Write],
    failure: BatchError,
) -> Result<Vec<Execution<Write>>, BatchError> {
    let ([write], BatchError::NotExecuted(error)) = (batch, &failure) else { return Err(failure) };
    let fields = write.texts().into_iter().filter(|(_, text)| is_unstorable(postgres, text, error));
    let mut fields = Vec::from_iter(fields.map(|(field, _)| field));
    fields.dedup();
    if fields.is_empty() {
        return Err(failure);
    }
    let invalid = |field| FieldError::new(field, "has characters that the database cannot store");
    Ok(vec![Execution::Executed(Err(Error::Invalid(fields.into_iter().map(invalid).collect())))])
}
