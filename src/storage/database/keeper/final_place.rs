//! Finds a place up to which the log of events is final, on PostgreSQL.
//!
//! The place is the highest one that is filled. Then the transactions are listed that are writing events, and among them
//! are all that may still fill a place below it. Once these have ended, every place below is filled or will never be.

use std::time::Duration;

use diesel::dsl::sql;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use crate::storage::database::connection::event_writers::{PREPARED, event_writers};
use crate::storage::database::schema::tables::{event_log, events};

/// How often one check looks whether the transactions have ended, and how long it waits in between.
const LOOKS: usize = 8;
const PAUSE: Duration = Duration::from_millis(25);

/// A place that is waited for over several checks.
#[derive(Default)]
pub(super) struct Waiting(Option<Place>);

impl Waiting {
    /// Waits for a moment. Returns the place once it is final.
    pub(super) fn wait(&mut self, postgres: &mut PgConnection) -> QueryResult<Option<Place>> {
        let place = match self.0.take() {
            None => Place::of_end(postgres)?,
            waiting => waiting,
        };
        match place {
            Some(place) if !place.wait(postgres)? => self.0 = Some(place),
            place => return Ok(place),
        }
        Ok(None)
    }

    /// Gives up the place.
    pub(super) fn stop(&mut self) {
        self.0 = None;
    }
}

/// A place that becomes final once some transactions have ended.
pub(super) struct Place {
    pub(super) server: i64,
    pub(super) position: i64,
    writers: Vec<String>,
}

impl Place {
    /// The writers last: one that has drawn a place below the highest one, and has ended by then, is visible to all
    /// later statements.
    ///
    /// `None` if the place is one that the sequence has yet to draw, because somebody has inserted an event by its id, or
    /// has reset the sequence: then places below it are still to come.
    fn of_end(postgres: &mut PgConnection) -> QueryResult<Option<Self>> {
        let last: Option<i64> = events::table.select(diesel::dsl::max(events::id)).first(postgres)?;
        let state = event_log::table.select((event_log::pruned_to, start_of_server(), last_drawn()));
        let (pruned_to, server, drawn): (i64, i64, i64) = state.first(postgres)?;
        let position = pruned_to.max(last.unwrap_or_default());
        let writers = event_writers(postgres)?;
        Ok((position <= drawn).then_some(Self { server, position, writers }))
    }

    /// Waits for a moment. Returns whether the place is final.
    fn wait(&self, postgres: &mut PgConnection) -> QueryResult<bool> {
        for _ in 0..LOOKS {
            if self.is_final(postgres)? {
                return Ok(true);
            }
            // A batch takes milliseconds. A place that is seconds old lies too far back to start at.
            std::thread::sleep(PAUSE);
        }
        Ok(false)
    }

    /// Whether all writers have ended. One of them may have been prepared in the meantime, which gives it another name.
    fn is_final(&self, postgres: &mut PgConnection) -> QueryResult<bool> {
        if self.writers.is_empty() {
            return Ok(true);
        }
        let now = event_writers(postgres)?;
        Ok(now.iter().all(|writer| !self.writers.contains(writer) && !writer.starts_with(PREPARED)))
    }
}

/// When the server was started. SQL text, because Diesel does not know the function.
pub(super) fn start_of_server() -> diesel::expression::SqlLiteral<BigInt> {
    sql("CAST(date_part('epoch', pg_postmaster_start_time()) * 1000000 AS bigint)")
}

/// The last place that was drawn from the sequence. SQL text, as above.
fn last_drawn() -> diesel::expression::SqlLiteral<BigInt> {
    sql("coalesce(pg_sequence_last_value(CAST(pg_get_serial_sequence('events', 'id') AS regclass)), 0)")
}
