//! How a batch can fail as a whole.

use std::time::Duration;

use diesel::result::{DatabaseErrorKind as Kind, Error as DieselError};

use super::locks::LockPolicy;

/// Why a batch failed as a whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BatchError {
    /// Rolled back, or never begun.
    #[error("not executed: {0}")]
    NotExecuted(#[from] DieselError),
    /// Rolled back, because it waited too long for a lock of another transaction.
    #[error("not executed: somebody else holds a lock: {0}")]
    Locked(DieselError),
    /// COMMIT was sent and its response was lost, or the commit went to files that are no longer the database's.
    #[error("outcome of the commit unknown: {0}")]
    OutcomeUnknown(Box<dyn std::error::Error + Send + Sync>),
}

impl BatchError {
    /// Classifies the failure of a statement outside a transaction. Such a statement commits before it responds: if the
    /// server sent an error, nothing was executed; without a response the outcome is unknown.
    pub(crate) fn from_autocommit(error: DieselError) -> Self {
        match error {
            DieselError::DatabaseError(Kind::ClosedConnection, _) | DieselError::DeserializationError(_) => {
                Self::OutcomeUnknown(error.into())
            }
            _ => Self::NotExecuted(error),
        }
    }

    /// Classifies the failure of such a statement, which took so long, and detects a lock timeout.
    pub(crate) fn from_write(error: DieselError, locks: LockPolicy, took: Duration) -> Self {
        match Self::from_autocommit(error) {
            Self::NotExecuted(error) => Self::before_commit(error, locks, took),
            unknown => unknown,
        }
    }

    /// Classifies the failure of a statement in a transaction, which took so long, and detects a lock timeout. Whatever
    /// happened, nothing is committed.
    pub(crate) fn before_commit(error: DieselError, locks: LockPolicy, took: Duration) -> Self {
        match error {
            DieselError::DatabaseError(Kind::Unknown, cause) if locks.timed_out(cause.message(), took) => {
                Self::Locked(DieselError::DatabaseError(Kind::Unknown, cause))
            }
            error => Self::NotExecuted(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(kind: Kind) -> BatchError {
        BatchError::from_autocommit(DieselError::DatabaseError(kind, Box::new(String::new())))
    }

    #[test]
    fn an_error_of_the_server_means_not_executed() {
        for kind in [Kind::UniqueViolation, Kind::SerializationFailure, Kind::ReadOnlyTransaction, Kind::Unknown] {
            assert!(matches!(after(kind), BatchError::NotExecuted(_)));
        }
        // The statement was not sent completely.
        assert!(matches!(after(Kind::UnableToSendCommand), BatchError::NotExecuted(_)));
    }

    #[test]
    fn without_a_readable_response_the_outcome_is_unknown() {
        assert!(matches!(after(Kind::ClosedConnection), BatchError::OutcomeUnknown(_)));
        let unreadable = DieselError::DeserializationError("".into());
        assert!(matches!(BatchError::from_autocommit(unreadable), BatchError::OutcomeUnknown(_)));
    }
}
