use diesel::result::{DatabaseErrorKind as Kind, Error as DieselError};

/// Why a batch failed as a whole.
#[derive(Debug, thiserror::Error)]
pub(super) enum BatchError {
    /// Rolled back, or never begun.
    #[error("not executed: {0}")]
    NotExecuted(#[from] DieselError),
    /// Its commit was asked for, and the answer to that was lost.
    #[error("outcome of the commit unknown: {0}")]
    OutcomeUnknown(DieselError),
}

impl BatchError {
    /// What the failure of a statement outside of any transaction means: it commits by itself before it answers, so an
    /// error that the server sent means that nothing was executed, and without an answer nobody knows.
    pub(super) fn of_lone_statement(error: DieselError) -> Self {
        match error {
            DieselError::DatabaseError(Kind::ClosedConnection, _) | DieselError::DeserializationError(_) => {
                Self::OutcomeUnknown(error)
            }
            _ => Self::NotExecuted(error),
        }
    }
}
