//! Reads the log of events on and on, and misses none.
//!
//! On PostgreSQL an event gets its place in the log before its transaction commits, so that a later one may be seen first.
//! Whoever asked only for what comes after the last one it has seen would lose the other. So a place that is empty is
//! waited for, until nobody can fill it any more: until all transactions that could write events when it was found empty
//! have ended. Nothing else is waited for, neither readers nor writers of other tables. On SQLite there is one writer at a
//! time, and no such place.
//!
//! Each read begins with the last event that was seen: if another one stands there, or none that was pruned since, the log is
//! not the one that was read before, and what it says next does not follow. See [`super::mark`].

use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;

use super::event_row::EventRow;
use super::mark::Mark;
use crate::domain::{Event, Position};
use crate::storage::database::connection::{Connection, on_backend};
use crate::storage::database::schema::events;

/// Where somebody stands who reads the log on and on.
#[derive(Clone, Debug, Default)]
pub struct Follower {
    /// The last place that it has seen, or knows to stay empty.
    after: Mark,
    /// What is being waited for.
    doubt: Option<Doubt>,
}

/// Places that were empty.
#[derive(Clone, Debug)]
struct Doubt {
    /// They are before this one.
    before: Mark,
    /// The transactions that may yet fill them.
    writers: Vec<String>,
}

impl Follower {
    /// One that has seen all events up to there.
    #[must_use]
    pub const fn after(after: Mark) -> Self {
        Self { after, doubt: None }
    }

    /// The last place that it has seen, or knows to stay empty.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.after.position()
    }

    /// The same, with what stands there.
    #[must_use]
    pub const fn mark(&self) -> Mark {
        self.after
    }

    /// Whether it waits until it is certain which event is the next.
    #[must_use]
    pub const fn is_in_doubt(&self) -> bool {
        self.doubt.is_some()
    }

    /// One that skips what is before, once it is certain that nothing is to come there.
    pub(crate) fn skipping_to(after: Mark, writers: Vec<String>) -> Self {
        Self { after, doubt: Some(Doubt { before: after, writers }) }
    }

    /// Looks whether what it waits for has come true.
    pub(crate) fn look(&mut self, connection: &mut Connection) -> QueryResult<()> {
        self.settle(connection).map(drop)
    }

    /// The next events, in order, and no more than `limit`. None if there are none yet, or if it is not certain yet which
    /// one is the next. `None` if this is another log.
    pub(crate) fn next(&mut self, connection: &mut Connection, limit: i64) -> QueryResult<Option<Vec<Event>>> {
        let settled = self.settle(connection)?;
        let Some(rows) = self.read(connection, limit)? else { return Ok(None) };
        let certain = match connection {
            Connection::Sqlite(_) => Position(i64::MAX),
            Connection::Postgres(_) => certain(settled, &rows, connection)?.unwrap_or(self.position()),
        };
        let last = rows.last().map(EventRow::mark);
        let taken = self.take(rows, certain);
        if let (Connection::Postgres(postgres), Some(last)) = (connection, last)
            && self.position() < last.position()
            && self.doubt.is_none()
        {
            self.doubt = Some(Doubt { before: last, writers: writers(postgres)? });
        }
        Ok(Some(taken))
    }

    /// Before which place empty ones stay so, if that has turned out. This must be asked before the events are read: whoever
    /// ended in between is seen then.
    fn settle(&mut self, connection: &mut Connection) -> QueryResult<Option<Mark>> {
        if let (Some(doubt), Connection::Postgres(postgres)) = (&self.doubt, connection)
            && !doubt.writers.is_empty()
        {
            let writers = writers(postgres)?;
            let is_standby = writers.iter().any(|writer| writer == PRIMARY);
            if is_standby || doubt.writers.iter().any(|writer| writers.contains(writer)) {
                return Ok(None);
            }
        }
        Ok(self.doubt.take().map(|doubt| doubt.before))
    }

    /// Reads what comes next. `None` if this is another log.
    fn read(&mut self, connection: &mut Connection, limit: i64) -> QueryResult<Option<Vec<EventRow>>> {
        // One statement reads both, so that no other log can come in between.
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

    /// Takes events up to the first empty place that may yet be filled.
    fn take(&mut self, rows: Vec<EventRow>, certain: Position) -> Vec<Event> {
        let follows = |row: &EventRow| {
            // What this release does not know is for a newer one to tell, which is about to take over.
            let follows = row.is_known() && (row.id == self.position().0 + 1 || row.id <= certain.0);
            if follows {
                self.after = row.mark();
            }
            follows
        };
        let mut taken = Vec::with_capacity(rows.len());
        taken.extend(rows.into_iter().take_while(follows).filter_map(EventRow::told));
        taken
    }
}

/// Before which place empty ones stay so. None if that was found out of another log, of places that nobody has been told of.
fn certain(settled: Option<Mark>, rows: &[EventRow], connection: &mut Connection) -> QueryResult<Option<Position>> {
    let Some(before) = settled else { return Ok(None) };
    let holds = rows.iter().any(|row| row.mark() == before) || before.holds(connection)?;
    Ok(holds.then_some(before.position()))
}

fn read(connection: &mut Connection, Position(from): Position, limit: i64) -> QueryResult<Vec<EventRow>> {
    on_backend!(connection, |connection| {
        let these = events::table.filter(events::id.ge(from)).order(events::id).limit(limit);
        these.select(EventRow::as_select()).load(connection)
    })
}

/// Stands for all writers of the server that a standby follows: their locks cannot be seen from there. When it is promoted,
/// those that have not committed never will.
const PRIMARY: &str = "primary";

/// The transactions that write events now. A transaction holds its lock on the table from before it gives an event its place
/// until it is seen to have ended. One that is prepared (two-phase commit) goes on under another name, and would be taken for
/// ended: nobody here prepares any.
pub(crate) fn writers(postgres: &mut PgConnection) -> QueryResult<Vec<String>> {
    let rows: Vec<Writer> = diesel::sql_query(
        "SELECT virtualtransaction AS id FROM pg_locks
        WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND granted AND relation = 'events'::regclass
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        UNION ALL SELECT 'primary' WHERE pg_is_in_recovery()",
    )
    .load(postgres)?;
    Ok(rows.into_iter().map(|writer| writer.id).collect())
}

/// SQL text, because the catalogues are no tables of Diesel's.
#[derive(QueryableByName)]
struct Writer {
    #[diesel(sql_type = Text)]
    id: String,
}
