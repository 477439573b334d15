//! Forgets old events, a few at a time.
//!
//! They go in the order of the log, so that one number, `pruned_to`, tells what is gone. It also tells each statement where to
//! begin: on PostgreSQL the index keeps entries of what was deleted before, and would be read through them. Events that are
//! held are spared when their turn comes, and go when they are held no longer.

use std::time::Duration;

use diesel::dsl::{exists, not};
use diesel::prelude::*;

use super::{EventLog, State};
use crate::domain::{Error, Position, Timestamp};
use crate::storage::database::connection::{Connection, on_backend};
use crate::storage::database::row::Moment;
use crate::storage::database::schema::{event_log, events, held_events};

/// What may be forgotten.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// How old an event must be.
    pub events: Duration,
    /// How long ago it must have been given up, if it was.
    pub parked: Duration,
    /// How many of those that were given up are kept at the most.
    pub max_parked: i64,
}

/// What came of forgetting some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pruned {
    /// There was nothing to forget.
    Nothing,
    /// So many events are gone, which may be none; and there may be more.
    Events(u64),
    /// Another replica did it in the same moment.
    ByAnother,
}

#[expect(clippy::missing_errors_doc, reason = "what all methods share is said at the type")]
impl EventLog {
    /// Forgets the oldest events, `limit` at the most, if they happened before then; with `sent_only` none that a relay has yet
    /// to send. None that is held.
    pub async fn prune(&self, before: Timestamp, sent_only: bool, limit: i64) -> Result<Pruned, Error> {
        self.change(move |connection| {
            let state = State::read(connection)?;
            let last = if sent_only { state.settled_to() } else { Position(i64::MAX) };
            let Some(to) = oldest_to(connection, &state, last, before, limit)? else { return Ok(Pruned::Nothing) };
            connection.write(|connection| {
                if set_pruned(connection, state.pruned_to, to)? {
                    forget(connection, state.pruned_to, to).map(Pruned::Events)
                } else {
                    Ok(Pruned::ByAnother)
                }
            })
        })
        .await
    }

    /// Holds no longer, and so forgets, some events that were given up before `parked_before`, or are not among the newest
    /// `max_parked` of those; and some that happened before `unsent_before` and still wait, if nobody is there to send them.
    pub async fn prune_held(
        &self,
        parked_before: Timestamp,
        max_parked: i64,
        unsent_before: Option<Timestamp>,
        limit: i64,
    ) -> Result<Pruned, Error> {
        self.change(move |connection| {
            connection.write(|connection| {
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

/// The last of the oldest events, if they are old enough.
fn oldest_to(
    connection: &mut Connection,
    state: &State,
    Position(last): Position,
    before: Timestamp,
    limit: i64,
) -> QueryResult<Option<i64>> {
    let oldest: Vec<(i64, Moment)> = on_backend!(connection, |connection| {
        let kept = events::table.filter(events::id.gt(state.pruned_to).and(events::id.le(last)));
        kept.order(events::id).limit(limit).select((events::id, events::occurred_at)).load(connection)
    })?;
    Ok(oldest.into_iter().take_while(|(_, Moment(at))| *at < before).last().map(|(id, _)| id))
}

/// False when another replica was faster.
fn set_pruned(connection: &mut Connection, from: i64, to: i64) -> QueryResult<bool> {
    let changed = on_backend!(connection, |connection| {
        let as_it_was = event_log::table.filter(event_log::pruned_to.eq(from));
        diesel::update(as_it_was).set(event_log::pruned_to.eq(to)).execute(connection)
    })?;
    Ok(changed > 0)
}

/// Deletes the events after one place up to another, but for those that are held.
fn forget(connection: &mut Connection, after: i64, to: i64) -> QueryResult<u64> {
    on_backend!(connection, |connection| {
        // Bounded too: else all that are held would be read for each batch.
        let held = held_events::table.filter(held_events::event_id.gt(after).and(held_events::event_id.le(to)));
        let is_held = exists(held.filter(held_events::event_id.eq(events::id)));
        let these = events::table.filter(events::id.gt(after).and(events::id.le(to)).and(not(is_held)));
        diesel::delete(these).execute(connection)
    })
    .map(count)
}

/// Those that were given up long ago, or are too many.
fn parked(connection: &mut Connection, before: Timestamp, max: i64, limit: i64) -> QueryResult<Vec<i64>> {
    on_backend!(connection, |connection| {
        let all = held_events::table.filter(held_events::parked_at.is_not_null());
        let newest = all.order(held_events::event_id.desc()).select(held_events::event_id);
        let beyond: Option<i64> = newest.offset(max).first(connection).optional()?;
        let is_old = held_events::parked_at.lt(Moment(before)).assume_not_null();
        let these = all.filter(is_old.or(held_events::event_id.le(beyond.unwrap_or(0))));
        these.order(held_events::event_id).limit(limit).select(held_events::event_id).load(connection)
    })
}

/// Those that are still to be tried, and happened long ago.
fn waiting(connection: &mut Connection, before: Timestamp, limit: i64) -> QueryResult<Vec<i64>> {
    on_backend!(connection, |connection| {
        let waits = held_events::parked_at.is_null().and(events::occurred_at.lt(Moment(before)));
        held_events::table
            .inner_join(events::table.on(events::id.eq(held_events::event_id)))
            .filter(waits)
            .order(held_events::event_id)
            .limit(limit)
            .select(held_events::event_id)
            .load(connection)
    })
}

/// Holds events no longer, and deletes those whose turn has come. In a transaction that holds the lock on the log's state:
/// else somebody might just be sparing them.
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
