//! Prunes old events, a few at a time.
//!
//! Events go in the order of the log, so one number, `pruned_to`, says what is gone. Each statement begins there,
//! too: on PostgreSQL the index keeps entries of deleted rows, and would be read through them. Held events are spared,
//! and go when they are no longer held. With a relay, no event is pruned before it is published.

use std::time::Duration;

use diesel::dsl::{exists, not};
use diesel::prelude::*;

use super::handle::EventLog;
use super::state::State;
use crate::domain::{Error, Position, Timestamp};
use crate::storage::database::connection::{Connection, on_backend};
use crate::storage::database::schema::tables::{event_log, events, held_events};
use crate::storage::database::schema::timestamp_column::TimestampColumn;

/// How long events are kept.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// The age at which an event is pruned.
    pub events: Duration,
    /// How long ago an event must have been parked to be pruned.
    pub parked: Duration,
    /// The maximum number of parked events.
    pub max_parked: i64,
}

/// The result of one round of pruning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pruned {
    /// There was nothing to prune.
    Nothing,
    /// So many events were deleted, which may be none. There may be more.
    Events(u64),
    /// Another replica pruned at the same moment.
    ByAnother,
}

#[expect(clippy::missing_errors_doc, reason = "the type documents the errors that all methods share")]
impl EventLog {
    /// Deletes the oldest events, at most `limit`, that happened before `before`; with `sent_only` only those that are
    /// published. Spares held events.
    pub async fn prune(&self, before: Timestamp, sent_only: bool, limit: i64) -> Result<Pruned, Error> {
        self.change(move |connection| {
            let state = State::read(connection)?;
            let last = if sent_only { state.published_to() } else { Position(i64::MAX) };
            let Some(to) = oldest_to(connection, &state, last, before, limit)? else { return Ok(Pruned::Nothing) };
            connection.write_no_user(|connection| {
                if set_pruned(connection, state.pruned_to, to)? {
                    delete_events(connection, state.pruned_to, to).map(Pruned::Events)
                } else {
                    Ok(Pruned::ByAnother)
                }
            })
        })
        .await
    }

    /// Releases and deletes held events: parked ones from before `parked_before` or beyond the newest `max_parked`, and
    /// waiting ones from before `unsent_before` if no replica relays.
    pub async fn prune_held(
        &self,
        parked_before: Timestamp,
        max_parked: i64,
        unsent_before: Option<Timestamp>,
        limit: i64,
    ) -> Result<Pruned, Error> {
        self.change(move |connection| {
            connection.write_no_user(|connection| {
                let pruned_to = State::lock(connection)?.pruned_to;
                let mut ids = parked(connection, parked_before, max_parked, limit)?;
                if let Some(before) = unsent_before {
                    ids.extend(waiting(connection, before, limit)?);
                }
                if ids.is_empty() {
                    Ok(Pruned::Nothing)
                } else {
                    release(connection, &ids, pruned_to).map(Pruned::Events)
                }
            })
        })
        .await
    }
}

/// The last of the oldest events that are old enough.
fn oldest_to(
    connection: &mut Connection,
    state: &State,
    Position(last): Position,
    before: Timestamp,
    limit: i64,
) -> QueryResult<Option<i64>> {
    let oldest: Vec<(i64, TimestampColumn)> = on_backend!(connection, |connection| {
        let kept = events::table.filter(events::id.gt(state.pruned_to).and(events::id.le(last)));
        kept.order(events::id).limit(limit).select((events::id, events::occurred_at)).load(connection)
    })?;
    Ok(oldest.into_iter().take_while(|(_, TimestampColumn(at))| *at < before).last().map(|(id, _)| id))
}

/// Returns false if another replica was faster.
fn set_pruned(connection: &mut Connection, from: i64, to: i64) -> QueryResult<bool> {
    let changed = on_backend!(connection, |connection| {
        let as_it_was = event_log::table.filter(event_log::pruned_to.eq(from));
        diesel::update(as_it_was).set(event_log::pruned_to.eq(to)).execute(connection)
    })?;
    Ok(changed > 0)
}

/// Deletes the events between two offsets, except held ones.
fn delete_events(connection: &mut Connection, after: i64, to: i64) -> QueryResult<u64> {
    on_backend!(connection, |connection| {
        // Bounded too, or every batch would read all held events.
        let held = held_events::table.filter(held_events::event_id.gt(after).and(held_events::event_id.le(to)));
        let is_held = exists(held.filter(held_events::event_id.eq(events::id)));
        let these = events::table.filter(events::id.gt(after).and(events::id.le(to)).and(not(is_held)));
        diesel::delete(these).execute(connection)
    })
    .map(count)
}

/// Parked events that are old enough, or too many.
fn parked(connection: &mut Connection, before: Timestamp, max: i64, limit: i64) -> QueryResult<Vec<i64>> {
    on_backend!(connection, |connection| {
        let all = held_events::table.filter(held_events::parked_at.is_not_null());
        let newest = all.order(held_events::event_id.desc()).select(held_events::event_id);
        let beyond: Option<i64> = newest.offset(max).first(connection).optional()?;
        let is_old = held_events::parked_at.lt(TimestampColumn(before)).assume_not_null();
        let these = all.filter(is_old.or(held_events::event_id.le(beyond.unwrap_or(0))));
        these.order(held_events::event_id).limit(limit).select(held_events::event_id).load(connection)
    })
}

/// Waiting events that happened long ago.
fn waiting(connection: &mut Connection, before: Timestamp, limit: i64) -> QueryResult<Vec<i64>> {
    on_backend!(connection, |connection| {
        let waits = held_events::parked_at.is_null().and(events::occurred_at.lt(TimestampColumn(before)));
        held_events::table
            .inner_join(events::table.on(events::id.eq(held_events::event_id)))
            .filter(waits)
            .order(held_events::event_id)
            .limit(limit)
            .select(held_events::event_id)
            .load(connection)
    })
}

/// Releases held events, and deletes those that pruning has passed. The transaction must hold the lock on the log's
/// state: otherwise pruning might be about to spare them.
pub(super) fn release(connection: &mut Connection, ids: &[i64], pruned_to: i64) -> QueryResult<u64> {
    on_backend!(connection, |connection| {
        diesel::delete(held_events::table.filter(held_events::event_id.eq_any(ids))).execute(connection)?;
        let due = events::table.filter(events::id.eq_any(ids).and(events::id.le(pruned_to)));
        diesel::delete(due).execute(connection)
    })
    .map(count)
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}
