//! What a lane carries: the trait that look-ups, page queries and writes implement.

use super::conflict_key::ConflictKey;
use crate::domain::Error;
use crate::metrics::Change;
use crate::storage::database::connection::Connection;
use crate::storage::database::connection::batch_error::BatchError;
use crate::storage::database::connection::locks::LockPolicy;
use crate::telemetry::Ran;

/// What one lane carries: look-ups, page queries or writes.
pub(crate) trait Request: Send + Sized + 'static {
    type Answer: Send + 'static;

    /// The caller's error if an actor has claimed the message and the outcome is unknown.
    const UNANSWERED: Error;

    /// Whether requests of this kind change data.
    const CHANGES: bool = false;

    /// The largest useful batch, if that is smaller than the configured one.
    const MAX_BATCH: usize = usize::MAX;

    /// Runs a batch in one transaction. The results are in the order of the requests. A request may be deferred
    /// only if an earlier one has to be executed first: one with the same conflict key or the same idempotency key.
    /// So the first request of a batch is either executed or locked.
    ///
    /// # Errors
    /// When the batch failed as a whole. An error of one request is that request's own result.
    fn run(connection: &mut Connection, batch: &[&Self], locks: LockPolicy)
    -> Result<Vec<Execution<Self>>, BatchError>;

    /// The conflict keys. No request in the same statement may share one, and no later request may overtake this one if
    /// it shares one.
    fn conflict_keys(&self) -> [Option<ConflictKey<'_>>; 4] {
        [None, None, None, None]
    }

    /// Counts the changes that a request has made, which was answered so.
    fn count_changes(&self, _: &Self::Answer, _count: impl FnMut(Change)) {}
}

/// The final result of a request.
pub(crate) type Outcome<R> = Result<<R as Request>::Answer, Error>;

/// What an actor sends to a caller: the outcome, and how the request was executed, if it was.
pub(crate) type Sent<R> = (Outcome<R>, Option<Ran>);

/// The result of a request in one batch.
pub(crate) enum Execution<R: Request> {
    Executed(Outcome<R>),
    /// Not executed, because an earlier request of the batch comes first. It belongs in the next batch.
    Deferred,
    /// Not executed, because another transaction holds a lock that it needs.
    Locked,
}
