/// Why a batch failed as a whole.
#[derive(Debug, thiserror::Error)]
pub(super) enum BatchError {
    /// Rolled back, or never begun.
    #[error("not executed: {0}")]
    NotExecuted(#[from] diesel::result::Error),
    /// COMMIT was sent and its answer was lost.
    #[error("outcome of COMMIT unknown: {0}")]
    OutcomeUnknown(diesel::result::Error),
}
