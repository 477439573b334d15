//! Events of the past.

use diesel::prelude::*;

use super::event_row::EventRow;
use super::follow::{Follower, writers};
use super::mark::Mark;
use super::{EventLog, State};
use crate::domain::{Error, Event, Position};
use crate::storage::database::connection::{Connection, on_backend};
use crate::storage::database::schema::events;

#[expect(clippy::missing_errors_doc, reason = "what all methods share is said at the type")]
impl EventLog {
    /// A follower that will see about the last `count` events, and whatever comes. It is in doubt at first: events before those
    /// may be yet to come, and would be missed.
    pub async fn follow_from_end(&self, count: i64) -> Result<Follower, Error> {
        self.run(move |connection| {
            // Before the end is looked for: who ended in between is before it.
            let writers = match connection {
                Connection::Sqlite(_) => Vec::new(),
                Connection::Postgres(postgres) => writers(postgres)?,
            };
            let pruned_to = Position(State::read(connection)?.pruned_to);
            let before = before_the_last(connection, count)?;
            // What is pruned is past, for sure.
            Ok(match before.filter(|before| before.position() > pruned_to) {
                Some(before) => Follower::skipping_to(before, writers),
                None => Follower::after(Mark::pruned(pruned_to)),
            })
        })
        .await
    }

    /// Has a follower look whether what it is in doubt of has come true.
    pub async fn look(&self, mut follower: Follower) -> Result<Follower, Error> {
        self.run(move |connection| {
            follower.look(connection)?;
            Ok(follower)
        })
        .await
    }

    /// Fails with [`Error::EventsGone`] unless whoever has seen all events up to there can be told all that followed: some of
    /// those may be pruned, or the log may never have got so far, so that it was another one that got there.
    pub async fn reaches(&self, after: Position) -> Result<(), Error> {
        let reaches = self
            .run(move |connection| {
                let last: Option<i64> = on_backend!(connection, |connection| {
                    events::table.order(events::id.desc()).select(events::id).first(connection).optional()
                })?;
                let pruned_to = State::read(connection)?.pruned_to;
                Ok((pruned_to..=pruned_to.max(last.unwrap_or_default())).contains(&after.0))
            })
            .await?;
        if reaches { Ok(()) } else { Err(Error::EventsGone) }
    }

    /// The events from the one after this on, up to `last`, and no more than `limit`. [`Error::EventsGone`] when some of them
    /// are pruned, or the log is not the one that `last` was seen in.
    ///
    /// Whoever has not been told by a [`Follower`] that the log is complete up to `last` may miss some.
    pub async fn history(&self, after: Position, last: Mark, limit: i64) -> Result<Vec<Event>, Error> {
        let found = self
            .run(move |connection| {
                let rows = read(connection, after, last.position(), limit)?;
                // Afterwards: what is pruned in between is noticed, and so is another log.
                let is_kept = after.0 >= State::read(connection)?.pruned_to && last.holds(connection)?;
                Ok(is_kept.then_some(rows))
            })
            .await?;
        Ok(found.ok_or(Error::EventsGone)?.into_iter().filter_map(EventRow::told).collect())
    }
}

/// The place behind which stand so many events, if there are more.
fn before_the_last(connection: &mut Connection, count: i64) -> QueryResult<Option<Mark>> {
    let row: Option<EventRow> = on_backend!(connection, |connection| {
        let newest = events::table.order(events::id.desc()).offset(count);
        newest.select(EventRow::as_select()).first(connection).optional()
    })?;
    Ok(row.as_ref().map(EventRow::mark))
}

fn read(connection: &mut Connection, after: Position, last: Position, limit: i64) -> QueryResult<Vec<EventRow>> {
    on_backend!(connection, |connection| {
        let these = events::table.filter(events::id.gt(after.0).and(events::id.le(last.0)));
        these.order(events::id).limit(limit).select(EventRow::as_select()).load(connection)
    })
}
