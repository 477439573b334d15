//! Reads the log of events on and on, and misses none.
//!
//! On PostgreSQL an event gets its place in the log before its transaction commits, so that a later one may be seen first.
//! Whoever asked only for what comes after the last one it has seen would lose the other. So a place that is empty is
//! waited for, until nobody can fill it any more: until all transactions that could write events when it was found empty
//! have ended. Nothing else is waited for, neither readers nor writers of other tables. On SQLite there is one writer at a
//! time, and no such place.

use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;

use super::connection::{Connection, on_backend};
use super::event_row::EventRow;
use super::schema::events;
use crate::users::{Event, Position};

/// Where somebody stands who reads the log on and on.
#[derive(Clone, Debug, Default)]
pub struct Follower {
    after: Position,
    /// What is being waited for.
    doubt: Option<Doubt>,
}

/// Places that were empty.
#[derive(Clone, Debug)]
struct Doubt {
    /// They are before this one.
    before: Position,
    /// The transactions that may yet fill them.
    writers: Vec<String>,
}

impl Follower {
    /// One that has seen all events up to there.
    #[must_use]
    pub const fn after(after: Position) -> Self {
        Self { after, doubt: None }
    }

    /// The last place that it has seen, or knows to stay empty.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.after
    }

    /// Whether it waits until it is certain which event is the next.
    #[must_use]
    pub const fn is_in_doubt(&self) -> bool {
        self.doubt.is_some()
    }

    /// One that skips what is before, once it is certain that nothing is to come there.
    pub(super) fn skipping_to(after: Position, writers: Vec<String>) -> Self {
        Self { after, doubt: Some(Doubt { before: after, writers }) }
    }

    /// Looks whether what it waits for has come true.
    pub(super) fn look(&mut self, connection: &mut Connection) -> QueryResult<()> {
        match connection {
            Connection::Sqlite(_) => self.doubt = None,
            Connection::Postgres(postgres) => drop(self.settle(postgres)?),
        }
        Ok(())
    }

    /// The next events, in order, and no more than `limit`. None if there are none yet, or if it is not certain yet which
    /// one is the next.
    pub(super) fn next(&mut self, connection: &mut Connection, limit: i64) -> QueryResult<Vec<Event>> {
        let certain = match connection {
            Connection::Sqlite(_) => Position(i64::MAX),
            Connection::Postgres(postgres) => self.settle(postgres)?,
        };
        let rows = read(connection, self.after, limit)?;
        let last = rows.last().map_or(self.after, |row| Position(row.id));
        let taken = self.take(rows, certain);
        if let Connection::Postgres(postgres) = connection
            && self.after < last
            && self.doubt.is_none()
        {
            self.doubt = Some(Doubt { before: last, writers: writers(postgres)? });
        }
        Ok(taken)
    }

    /// Before which place empty ones are known to stay so. This must be asked before the events are read: whoever ended in
    /// between is seen then.
    fn settle(&mut self, postgres: &mut PgConnection) -> QueryResult<Position> {
        let Some(doubt) = &self.doubt else { return Ok(self.after) };
        if !doubt.writers.is_empty() {
            let writers = writers(postgres)?;
            let is_standby = writers.iter().any(|writer| writer == PRIMARY);
            if is_standby || doubt.writers.iter().any(|writer| writers.contains(writer)) {
                return Ok(self.after);
            }
        }
        Ok(self.doubt.take().map_or(self.after, |doubt| doubt.before))
    }

    /// Takes events up to the first empty place that may yet be filled.
    fn take(&mut self, rows: Vec<EventRow>, certain: Position) -> Vec<Event> {
        let follows = |row: &EventRow| {
            // What this release does not know is for a newer one to tell, which is about to take over.
            let follows = row.is_known() && (row.id == self.after.0 + 1 || row.id <= certain.0);
            if follows {
                self.after = Position(row.id);
            }
            follows
        };
        let mut taken = Vec::with_capacity(rows.len());
        taken.extend(rows.into_iter().take_while(follows).filter_map(EventRow::told));
        taken
    }
}

fn read(connection: &mut Connection, Position(after): Position, limit: i64) -> QueryResult<Vec<EventRow>> {
    on_backend!(connection, |connection| {
        let later = events::table.filter(events::id.gt(after)).order(events::id).limit(limit);
        later.select(EventRow::as_select()).load(connection)
    })
}

/// Stands for all writers of the server that a standby follows: their locks cannot be seen from there. When it is promoted,
/// those that have not committed never will.
const PRIMARY: &str = "primary";

/// The transactions that write events now. A transaction holds its lock on the table from before it gives an event its place
/// until it is seen to have ended. One that is prepared (two-phase commit) goes on under another name, and would be taken for
/// ended: nobody here prepares any.
pub(super) fn writers(postgres: &mut PgConnection) -> QueryResult<Vec<String>> {
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
