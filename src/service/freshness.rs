//! Whether an answer shows as much of the log of events as its caller knows.

use crate::domain::{AsOf, Error, Freshness};
use crate::storage::Storage;

/// Fails with [`Error::PositionUnknown`] if the answer is to show an event that the log does not have: then the caller knows
/// another log.
///
/// A read that asks the database shows all events that were committed by then, and the caller cannot know of others.
///
/// # Errors
/// Also the storage's errors.
pub(super) async fn check<T>(storage: &Storage, answer: &AsOf<T>, freshness: &Freshness) -> Result<(), Error> {
    match freshness.at_least {
        // The log may reach further than what this answer is known to show.
        Some(at_least) if at_least > answer.position => storage.events().ensure_reaches(at_least).await,
        _ => Ok(()),
    }
}
