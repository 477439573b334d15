use std::time::Duration;

use diesel::result::{DatabaseErrorKind as Kind, Error as DieselError};

use super::locks::Locks;

/// Why a batch failed as a whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BatchError {
    /// Rolled back, or never begun.
    #[error("not executed: {0}")]
    NotExecuted(#[from] DieselError),
    /// Rolled back, because it had waited too long for what somebody else's transaction holds.
    #[error("not executed: somebody else holds a lock: {0}")]
    Locked(DieselError),
    /// Its commit was asked for, and the answer to that was lost; or it was answered by what is no longer the database.
    #[error("outcome of the commit unknown: {0}")]
    OutcomeUnknown(Box<dyn std::error::Error + Send + Sync>),
}

impl BatchError {
    /// What the failure of a statement outside of any transaction means: it commits by itself before it answers, so an
    /// error that the server sent means that nothing was executed, and without an answer nobody knows.
    pub(crate) fn of_lone_statement(error: DieselError) -> Self {
        match error {
            DieselError::DatabaseError(Kind::ClosedConnection, _) | DieselError::DeserializationError(_) => {
                Self::OutcomeUnknown(error.into())
            }
            _ => Self::NotExecuted(error),
        }
    }

    /// What the failure of such a statement means that took so long.
    pub(crate) fn of_write(error: DieselError, locks: Locks, took: Duration) -> Self {
        match Self::of_lone_statement(error) {
            Self::NotExecuted(DieselError::DatabaseError(Kind::Unknown, cause))
                if locks.timed_out(cause.message(), took) =>
            {
                Self::Locked(DieselError::DatabaseError(Kind::Unknown, cause))
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(kind: Kind) -> BatchError {
        BatchError::of_lone_statement(DieselError::DatabaseError(kind, Box::new(String::new())))
    }

    #[test]
    fn what_the_server_refused_was_not_executed() {
        for kind in [Kind::UniqueViolation, Kind::SerializationFailure, Kind::ReadOnlyTransaction, Kind::Unknown] {
            assert!(matches!(after(kind), BatchError::NotExecuted(_)));
        }
        // Not all of it was sent.
        assert!(matches!(after(Kind::UnableToSendCommand), BatchError::NotExecuted(_)));
    }

    #[test]
    fn without_a_readable_answer_nobody_knows() {
        assert!(matches!(after(Kind::ClosedConnection), BatchError::OutcomeUnknown(_)));
        let unreadable = DieselError::DeserializationError("".into());
        assert!(matches!(BatchError::of_lone_statement(unreadable), BatchError::OutcomeUnknown(_)));
    }
}
