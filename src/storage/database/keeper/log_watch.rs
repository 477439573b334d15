//! Settles gaps of the log of events for the user cache on PostgreSQL (`storage::user_cache`), and finds a place at
//! which the cache can start.
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
use crate::storage::user_cache::{PostgresCache, Settled};

/// How often one check looks whether the transactions have ended, and how long it waits in between.
const LOOKS: usize = 8;
const PAUSE: Duration = Duration::from_millis(25);

/// Waits for transactions to end.
#[derive(Default)]
pub(super) struct LogWatch {
    waiting: Option<Waiting>,
}

struct Waiting {
    server: i64,
    place: i64,
    writers: Vec<String>,
}

impl LogWatch {
    /// Waits for a moment, if the cache needs it, and goes on in the next check.
    pub(super) fn check(&mut self, postgres: &mut PgConnection, cache: &PostgresCache) -> QueryResult<()> {
        if !cache.needs_settling() {
            self.waiting = None;
            return Ok(());
        }
        let waiting = match self.waiting.take() {
            None => Waiting::begin(postgres)?,
            waiting => waiting,
        };
        let Some(waiting) = waiting else { return Ok(()) };
        for _ in 0..LOOKS {
            if waiting.is_over(postgres)? {
                if let Some(settled) = waiting.settled(postgres)? {
                    cache.settle(&settled);
                }
                return Ok(());
            }
            // A batch takes milliseconds. A place that is seconds old lies too far back to start at.
            std::thread::sleep(PAUSE);
        }
        self.waiting = Some(waiting);
        Ok(())
    }
}

impl Waiting {
    /// The writers last: one that has drawn a place below the highest one, and has ended by then, is visible to all
    /// later statements.
    ///
    /// `None` if the place is one that the sequence has yet to draw, because somebody has inserted an event by its id, or
    /// has reset the sequence: then places below it are still to come.
    fn begin(postgres: &mut PgConnection) -> QueryResult<Option<Self>> {
        let last: Option<i64> = events::table.select(diesel::dsl::max(events::id)).first(postgres)?;
        let state = event_log::table.select((event_log::pruned_to, start_of_server(), last_drawn()));
        let (pruned_to, server, drawn): (i64, i64, i64) = state.first(postgres)?;
        let place = pruned_to.max(last.unwrap_or_default());
        let writers = event_writers(postgres)?;
        Ok((place <= drawn).then_some(Self { server, place, writers }))
    }

    /// Whether all writers have ended. One of them may have been prepared in the meantime, which gives it another name.
    fn is_over(&self, postgres: &mut PgConnection) -> QueryResult<bool> {
        if self.writers.is_empty() {
            return Ok(true);
        }
        let now = event_writers(postgres)?;
        Ok(now.iter().all(|writer| !self.writers.contains(writer) && !writer.starts_with(PREPARED)))
    }

    /// `None` if another server answers by now.
    fn settled(&self, postgres: &mut PgConnection) -> QueryResult<Option<Settled>> {
        let log = event_log::table.left_join(events::table.on(events::id.eq(self.place)));
        let log = log.select((event_log::pruned_to, events::salt.nullable(), start_of_server()));
        let (pruned_to, salt, server): (i64, Option<i64>, i64) = log.first(postgres)?;
        Ok((server == self.server).then_some(Settled { server, place: self.place, salt, pruned_to }))
    }
}

/// When the server was started. SQL text, because Diesel does not know the function.
fn start_of_server() -> diesel::expression::SqlLiteral<BigInt> {
    sql("CAST(date_part('epoch', pg_postmaster_start_time()) * 1000000 AS bigint)")
}

/// The last place that was drawn from the sequence. SQL text, as above.
fn last_drawn() -> diesel::expression::SqlLiteral<BigInt> {
    sql("coalesce(pg_sequence_last_value(CAST(pg_get_serial_sequence('events', 'id') AS regclass)), 0)")
}
