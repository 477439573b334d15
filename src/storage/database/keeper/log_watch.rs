//! Settles gaps of the log of events for the user cache on PostgreSQL (`storage::user_cache`), and finds a place at
//! which the cache can start.

use diesel::pg::PgConnection;
use diesel::prelude::*;

use super::final_place::{Place, Waiting, start_of_server};
use crate::storage::database::schema::tables::{event_log, events};
use crate::storage::user_cache::{PostgresCache, Settled};

/// Waits for transactions to end.
#[derive(Default)]
pub(super) struct LogWatch {
    waiting: Waiting,
}

impl LogWatch {
    /// Waits for a moment, if the cache needs it, and goes on in the next check.
    pub(super) fn check(&mut self, postgres: &mut PgConnection, cache: &PostgresCache) -> QueryResult<()> {
        if !cache.needs_settling() {
            self.waiting.stop();
            return Ok(());
        }
        let Some(place) = self.waiting.wait(postgres)? else { return Ok(()) };
        if let Some(settled) = settled(&place, postgres)? {
            cache.settle(&settled);
        }
        Ok(())
    }
}

/// `None` if another server answers by now.
fn settled(place: &Place, postgres: &mut PgConnection) -> QueryResult<Option<Settled>> {
    let log = event_log::table.left_join(events::table.on(events::id.eq(place.position)));
    let log = log.select((event_log::pruned_to, events::salt.nullable(), start_of_server()));
    let (pruned_to, salt, server): (i64, Option<i64>, i64) = log.first(postgres)?;
    Ok((server == place.server).then_some(Settled { server, place: place.position, salt, pruned_to }))
}
