//! Prunes idempotency keys, a few at a time.

use std::time::Duration;

use diesel::dsl::max;
use diesel::prelude::*;

use super::Storage;
use super::database::connection::{Connection, on_backend};
use super::database::schema::tables::idempotency_keys;
use super::database::schema::timestamp_column::TimestampColumn;
use crate::domain::{Error, Timestamp};

/// How long idempotency keys are kept.
#[derive(Clone, Copy, Debug)]
pub struct KeyRetention {
    /// The age at which a key is pruned.
    pub age: Duration,
    /// The maximum number of keys. Beyond it the oldest are pruned.
    pub max_keys: i64,
}

/// Where a round of pruning has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrunedKeys {
    /// All keys up to here are gone.
    to: i64,
}

impl Storage {
    /// Deletes the oldest keys, at most `limit`: those from before `before`, and those beyond the newest `max_keys`.
    /// `None` if there are none left.
    ///
    /// # Errors
    /// [`Error::Overloaded`] or [`Error::Unavailable`]: nothing was deleted.
    pub async fn prune_keys(
        &self,
        PrunedKeys { to: after }: PrunedKeys,
        before: Timestamp,
        max_keys: i64,
        limit: i64,
    ) -> Result<Option<PrunedKeys>, Error> {
        let prune = move |connection: &mut Connection| {
            let Some(to) = oldest_to(connection, after, before, max_keys, limit)? else { return Ok(None) };
            let count = connection.write_no_user(|connection| delete(connection, after, to))?;
            Ok(Some((PrunedKeys { to }, u64::try_from(count).unwrap_or(u64::MAX))))
        };
        let pruned = self.events.change(prune).await?;
        Ok(pruned.map(|(pruned, count)| {
            self.idempotency.pruned(count);
            pruned
        }))
    }
}

/// The last of the oldest keys that are too old or too many. Ids rise with time, so no other index is needed.
fn oldest_to(
    connection: &mut Connection,
    after: i64,
    before: Timestamp,
    max_keys: i64,
    limit: i64,
) -> QueryResult<Option<i64>> {
    on_backend!(connection, |connection| {
        let newest: Option<i64> = idempotency_keys::table.select(max(idempotency_keys::id)).first(connection)?;
        // Ids that were never used count as well, so there may be fewer.
        let too_many = newest.unwrap_or_default().saturating_sub(max_keys);
        let oldest: Vec<(i64, TimestampColumn)> = idempotency_keys::table
            .filter(idempotency_keys::id.gt(after))
            .order(idempotency_keys::id)
            .limit(limit)
            .select((idempotency_keys::id, idempotency_keys::stored_at))
            .load(connection)?;
        let is_due = |(id, TimestampColumn(at)): &(i64, TimestampColumn)| *id <= too_many || *at < before;
        Ok(oldest.into_iter().take_while(is_due).last().map(|(id, _)| id))
    })
}

fn delete(connection: &mut Connection, after: i64, to: i64) -> QueryResult<usize> {
    on_backend!(connection, |connection| {
        let these = idempotency_keys::table.filter(idempotency_keys::id.gt(after).and(idempotency_keys::id.le(to)));
        diesel::delete(these).execute(connection)
    })
}
