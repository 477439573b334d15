//! Follows the event log without missing an event.
//!
//! On PostgreSQL an offset is assigned before its transaction commits, so a reader that asks for "everything after the
//! last one" loses events that commit late. The follower therefore stops at a **gap**, an offset without an event, and
//! notes which transactions hold the lock that writing to `events` takes. When all of these have ended, the gap is
//! filled or stays empty for ever. The offset before which nothing can change is the **watermark**. The follower waits
//! for no other transactions, so a long transaction elsewhere delays nothing. A gap that a failed batch left costs one
//! more poll. On SQLite there is one writer at a time, and no gap that could still be filled.
//!
//! On a standby the locks of the primary are invisible, so a gap stays open until the standby is promoted.

use diesel::prelude::*;

use super::checkpoint::Checkpoint;
use super::event_row::EventRow;
use crate::domain::{Event, Position};
use crate::storage::database::connection::event_writers::{PRIMARY, event_writers};
use crate::storage::database::connection::{Connection, on_backend};
use crate::storage::database::schema::tables::events;

/// The state of a reader of the log.
#[derive(Clone, Debug, Default)]
pub struct Follower {
    /// The last offset that was read, or is known to stay empty.
    after: Checkpoint,
    /// The gap that the follower waits for.
    gap: Option<Gap>,
}

/// Offsets without an event.
#[derive(Clone, Debug)]
struct Gap {
    /// The offset after the gap.
    before: Checkpoint,
    /// The transactions that may still fill the gap.
    writers: Vec<String>,
}

impl Follower {
    /// A follower that has read all events up to a checkpoint.
    #[must_use]
    pub const fn after(after: Checkpoint) -> Self {
        Self { after, gap: None }
    }

    /// The last offset that was read, or is known to stay empty.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.after.position()
    }

    /// The same offset as a checkpoint.
    #[must_use]
    pub const fn checkpoint(&self) -> Checkpoint {
        self.after
    }

    /// Whether the follower waits for a gap, until it is certain which event is next.
    #[must_use]
    pub const fn is_waiting_for_gap(&self) -> bool {
        self.gap.is_some()
    }

    /// A follower that skips all events up to a checkpoint, once it is certain that none is missing there.
    pub(crate) fn skipping_to(after: Checkpoint, writers: Vec<String>) -> Self {
        Self { after, gap: Some(Gap { before: after, writers }) }
    }

    /// Checks whether the gap is settled.
    pub(crate) fn recheck(&mut self, connection: &mut Connection) -> QueryResult<()> {
        self.settle(connection).map(drop)
    }

    /// The next events, in order, at most `limit`. Empty if there are none yet, or if it is not certain yet which is
    /// next. `None` if this is another log.
    pub(crate) fn next(&mut self, connection: &mut Connection, limit: i64) -> QueryResult<Option<Vec<Event>>> {
        let settled = self.settle(connection)?;
        let Some(rows) = self.read(connection, limit)? else { return Ok(None) };
        let watermark = match connection {
            Connection::Sqlite(..) => Position(i64::MAX),
            Connection::Postgres(..) => watermark(settled, &rows, connection)?.unwrap_or(self.position()),
        };
        let last = rows.last().map(EventRow::checkpoint);
        let taken = self.take(rows, watermark);
        if let (Connection::Postgres(postgres, _), Some(last)) = (connection, last)
            && self.position() < last.position()
            && self.gap.is_none()
        {
            self.gap = Some(Gap { before: last, writers: event_writers(postgres)? });
        }
        Ok(Some(taken))
    }

    /// The end of the gap, if no transaction can fill it any more. Must be called before the events are read, so that a
    /// transaction that ends in between is visible to the read.
    fn settle(&mut self, connection: &mut Connection) -> QueryResult<Option<Checkpoint>> {
        if let (Some(gap), Connection::Postgres(postgres, _)) = (&self.gap, connection)
            && !gap.writers.is_empty()
        {
            let writers = event_writers(postgres)?;
            let is_standby = writers.iter().any(|writer| writer == PRIMARY);
            if is_standby || gap.writers.iter().any(|writer| writers.contains(writer)) {
                return Ok(None);
            }
        }
        Ok(self.gap.take().map(|gap| gap.before))
    }

    /// Reads the next events. `None` if this is another log.
    fn read(&mut self, connection: &mut Connection, limit: i64) -> QueryResult<Option<Vec<EventRow>>> {
        // One statement reads the last seen event and the next ones, so that no other log can come in between.
        let mut rows = read(connection, self.position(), limit + 1)?;
        let seen_before = rows.first().filter(|row| row.id == self.position().0).map(EventRow::uuid);
        let Some(after) = self.after.checked(seen_before, connection)? else { return Ok(None) };
        self.after = after;
        if seen_before.is_some() {
            rows.remove(0);
        }
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(Some(rows))
    }

    /// Takes events up to the first gap that may still be filled.
    fn take(&mut self, rows: Vec<EventRow>, watermark: Position) -> Vec<Event> {
        let follows = |row: &EventRow| {
            // An unknown event is left to a newer release, which is about to take over.
            let follows = row.is_known() && (row.id == self.position().0 + 1 || row.id <= watermark.0);
            if follows {
                self.after = row.checkpoint();
            }
            follows
        };
        let mut taken = Vec::with_capacity(rows.len());
        taken.extend(rows.into_iter().take_while(follows).filter_map(EventRow::into_event));
        taken
    }
}

/// The watermark: before this offset no gap can be filled any more. `None` if the gap was found in another log, about
/// which nothing is known.
fn watermark(
    settled: Option<Checkpoint>,
    rows: &[EventRow],
    connection: &mut Connection,
) -> QueryResult<Option<Position>> {
    let Some(before) = settled else { return Ok(None) };
    let holds = rows.iter().any(|row| row.checkpoint() == before) || before.holds(connection)?;
    Ok(holds.then_some(before.position()))
}

fn read(connection: &mut Connection, Position(from): Position, limit: i64) -> QueryResult<Vec<EventRow>> {
    on_backend!(connection, |connection| {
        let these = events::table.filter(events::id.ge(from)).order(events::id).limit(limit);
        these.select(EventRow::as_select()).load(connection)
    })
}
