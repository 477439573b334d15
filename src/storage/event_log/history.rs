//! Past events, for readers that are behind a follower.

use diesel::prelude::*;

use super::checkpoint::Checkpoint;
use super::event_row::EventRow;
use super::follow::Follower;
use super::handle::EventLog;
use super::state::State;
use crate::domain::{Error, Event, Position};
use crate::storage::database::connection::event_writers::event_writers;
use crate::storage::database::connection::{Connection, on_backend};
use crate::storage::database::schema::log_end::log_end;
use crate::storage::database::schema::tables::events;

#[expect(clippy::missing_errors_doc, reason = "the type documents the errors that all methods share")]
impl EventLog {
    /// A follower that starts about `count` events before the end. At first it waits for a gap: an event before its
    /// start could otherwise be missed.
    pub async fn follow_from_end(&self, count: i64) -> Result<Follower, Error> {
        self.run(move |connection| {
            // Before the end is read, so that a transaction that ends in between is visible to that read.
            let writers = match connection {
                Connection::Sqlite(..) => Vec::new(),
                Connection::Postgres(postgres, _) => event_writers(postgres)?,
            };
            let pruned_to = Position(State::read(connection)?.pruned_to);
            let before = before_the_last(connection, count)?;
            // No event can still be committed before a pruned one.
            Ok(match before.filter(|before| before.position() > pruned_to) {
                Some(before) => Follower::skipping_to(before, writers),
                None => Follower::after(Checkpoint::pruned(pruned_to)),
            })
        })
        .await
    }

    /// Checks whether a follower's gap is settled.
    pub async fn recheck(&self, mut follower: Follower) -> Result<Follower, Error> {
        self.run(move |connection| {
            follower.recheck(connection)?;
            Ok(follower)
        })
        .await
    }

    /// Fails with [`Error::EventsGone`] unless all events after this offset can be read. Some of them may be pruned, or
    /// the log may never have reached the offset, which then belongs to another log.
    pub async fn ensure_reachable(&self, after: Position) -> Result<(), Error> {
        let is_reachable = self
            .run(move |connection| {
                let pruned_to = Position(State::read(connection)?.pruned_to);
                Ok((pruned_to..=end(connection)?).contains(&after))
            })
            .await?;
        if is_reachable { Ok(()) } else { Err(Error::EventsGone) }
    }

    /// Fails with [`Error::PositionUnknown`] if the log has never reached this offset, which then belongs to another log.
    pub async fn ensure_reaches(&self, offset: Position) -> Result<(), Error> {
        if self.run(end).await? < offset { Err(Error::PositionUnknown) } else { Ok(()) }
    }

    /// The events after an offset up to `last`, at most `limit`. [`Error::EventsGone`] if some are pruned, or `last`
    /// belongs to another log.
    ///
    /// May miss events unless a [`Follower`] has found the log complete up to `last`.
    pub async fn history(&self, after: Position, last: Checkpoint, limit: i64) -> Result<Vec<Event>, Error> {
        let found = self
            .run(move |connection| {
                let rows = read(connection, after, last.position(), limit)?;
                // After the read, so that pruning in between and another log are detected.
                let is_kept = after.0 >= State::read(connection)?.pruned_to && last.holds(connection)?;
                Ok(is_kept.then_some(rows))
            })
            .await?;
        Ok(found.ok_or(Error::EventsGone)?.into_iter().filter_map(EventRow::into_event).collect())
    }
}

fn end(connection: &mut Connection) -> QueryResult<Position> {
    on_backend!(connection, |connection| diesel::select(log_end()).get_result(connection)).map(Position)
}

/// The checkpoint before the last `count` events, if there are more.
fn before_the_last(connection: &mut Connection, count: i64) -> QueryResult<Option<Checkpoint>> {
    let row: Option<EventRow> = on_backend!(connection, |connection| {
        let newest = events::table.order(events::id.desc()).offset(count);
        newest.select(EventRow::as_select()).first(connection).optional()
    })?;
    Ok(row.as_ref().map(EventRow::checkpoint))
}

fn read(connection: &mut Connection, after: Position, last: Position, limit: i64) -> QueryResult<Vec<EventRow>> {
    on_backend!(connection, |connection| {
        let these = events::table.filter(events::id.gt(after.0).and(events::id.le(last.0)));
        these.order(events::id).limit(limit).select(EventRow::as_select()).load(connection)
    })
}
