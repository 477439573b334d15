//! How much the relay has yet to publish.

use diesel::prelude::*;

use super::handle::EventLog;
use super::state::State;
use crate::domain::{Error, Position, Timestamp};
use crate::storage::database::connection::{Connection, on_backend};
use crate::storage::database::schema::tables::{events, held_events};
use crate::storage::database::schema::timestamp_column::TimestampColumn;

/// What is not published yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// About how many events were never sent: gaps in the log are counted too.
    pub pending: i64,
    /// When the oldest of them happened.
    pub oldest_pending: Option<Timestamp>,
    /// How many events are held.
    pub held: i64,
    /// When the oldest of them happened.
    pub oldest_held: Option<Timestamp>,
    /// How many events are parked.
    pub parked: i64,
}

#[expect(clippy::missing_errors_doc, reason = "the type documents the errors that all methods share")]
impl EventLog {
    /// How much there is to publish.
    pub async fn backlog(&self) -> Result<Backlog, Error> {
        self.run(backlog).await
    }
}

fn backlog(connection: &mut Connection) -> QueryResult<Backlog> {
    let Position(sent_to) = State::read(connection)?.published_to();
    on_backend!(connection, |connection| {
        let last = events::table.order(events::id.desc()).select(events::id).first::<i64>(connection).optional()?;
        let unsent = events::table.filter(events::id.gt(sent_to)).order(events::id);
        let oldest_pending = unsent.select(events::occurred_at).first(connection).optional()?;
        let waits = held_events::table.filter(held_events::parked_at.is_null());
        let held = waits.count().get_result(connection)?;
        let events_held = waits.inner_join(events::table.on(events::id.eq(held_events::event_id)));
        let first_held = events_held.order(held_events::event_id).select(events::occurred_at);
        let oldest_held = first_held.first(connection).optional()?;
        let parked = held_events::table.filter(held_events::parked_at.is_not_null());
        Ok(Backlog {
            pending: last.map_or(0, |last| (last - sent_to).max(0)),
            oldest_pending: oldest_pending.map(|TimestampColumn(at)| at),
            held,
            oldest_held: oldest_held.map(|TimestampColumn(at)| at),
            parked: parked.count().get_result(connection)?,
        })
    })
}
