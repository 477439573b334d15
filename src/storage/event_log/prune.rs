//! Forgets old events, a few at a time.

use std::time::Duration;

use diesel::prelude::*;

use super::{EventLog, State};
use crate::storage::connection::{Connection, on_backend};
use crate::storage::row::Moment;
use crate::storage::schema::{event_log, events, held_events};
use crate::users::{Error, Position, Timestamp};

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

#[expect(clippy::missing_errors_doc, reason = "what all methods share is said at the type")]
impl EventLog {
    /// Forgets some events that happened before then, `limit` at the most, and with `sent_only` none that a relay has yet to
    /// send. Returns how far that went in the log; `None` when there is nothing to forget.
    pub async fn prune(&self, before: Timestamp, sent_only: bool, limit: i64) -> Result<Option<Position>, Error> {
        self.run(move |connection| {
            let state = State::read(connection)?;
            let last = if sent_only { state.sent_to().0 } else { i64::MAX };
            let Some(to) = oldest_to(connection, &state, last, before, limit)? else { return Ok(None) };
            connection.write(|connection| {
                if set_pruned(connection, state.pruned_to, to)? {
                    forget(connection, state.pruned_to, to)?;
                }
                Ok(Some(Position(to)))
            })
        })
        .await
    }

    /// Forgets events that were given up before then, and the oldest of them beyond the newest `max`.
    pub async fn prune_parked(&self, before: Timestamp, max: i64) -> Result<usize, Error> {
        self.run(move |connection| {
            connection.write(|connection| {
                let pruned_to = State::read(connection)?.pruned_to;
                let forgotten = forget_parked(connection, before, max)?;
                if forgotten > 0 {
                    // They were spared when their turn came.
                    forget(connection, 0, pruned_to)?;
                }
                Ok(forgotten)
            })
        })
        .await
    }
}

/// The last of the oldest events, if they are old enough.
fn oldest_to(
    connection: &mut Connection,
    state: &State,
    last: i64,
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
fn forget(connection: &mut Connection, after: i64, to: i64) -> QueryResult<()> {
    on_backend!(connection, |connection| {
        let is_held = diesel::dsl::exists(held_events::table.filter(held_events::event_id.eq(events::id)));
        let these = events::table.filter(events::id.gt(after).and(events::id.le(to)).and(diesel::dsl::not(is_held)));
        diesel::delete(these).execute(connection)
    })
    .map(drop)
}

fn forget_parked(connection: &mut Connection, before: Timestamp, max: i64) -> QueryResult<usize> {
    let parked = held_events::parked_at.is_not_null();
    let beyond: Option<i64> = on_backend!(connection, |connection| {
        let newest = held_events::table.filter(parked).order(held_events::event_id.desc());
        newest.offset(max).select(held_events::event_id).first(connection).optional()
    })?;
    let is_old = held_events::parked_at.lt(Moment(before)).assume_not_null();
    let is_beyond = held_events::event_id.le(beyond.unwrap_or(0));
    on_backend!(connection, |connection| {
        diesel::delete(held_events::table.filter(parked.and(is_old.or(is_beyond)))).execute(connection)
    })
}
