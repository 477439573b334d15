//! Held events: those that the broker refused, and later ones of the same users, which wait behind them.
//!
//! They are in a separate table, so that the published offset can advance without them. A parked event was given up
//! after too many attempts.

use diesel::prelude::*;

use super::event_row::{EventRow, has_content};
use super::handle::EventLog;
use super::prune::release;
use super::state::State;
use crate::domain::{Error, Event, Position, Timestamp, UserId};
use crate::storage::database::connection::{Connection, on_backend};
use crate::storage::database::schema::tables::{events, held_events};
use crate::storage::database::schema::timestamp_column::TimestampColumn;
use crate::storage::database::settings::Settings;

/// A held event.
#[derive(Clone, Debug)]
pub struct HeldEvent {
    pub event: Event,
    /// How often the broker has refused it.
    pub tries: i64,
}

/// The delivery of an event that is or was held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// The event waits, after so many refusals.
    Waiting { event: Position, user: UserId, tries: i64 },
    /// The event was given up.
    Parked { event: Position, user: UserId, tries: i64, at: Timestamp },
    /// The event was published.
    Published { event: Position },
}

#[expect(clippy::missing_errors_doc, reason = "the type documents the errors that all methods share")]
impl EventLog {
    /// Users with held events that are not parked, at most `limit`, and how often the first event of each was refused.
    pub async fn held_users(&self, limit: i64) -> Result<Vec<(UserId, i64)>, Error> {
        let users: Vec<(i64, Option<i64>)> = self
            .run(move |connection| {
                on_backend!(connection, |connection| {
                    // Only a user's first held event has ever been sent.
                    let tries = diesel::dsl::max(held_events::tries);
                    let waits = held_events::table.filter(held_events::parked_at.is_null());
                    let users = waits.group_by(held_events::user_id).select((held_events::user_id, tries));
                    users.limit(limit).load(connection)
                })
            })
            .await?;
        Ok(users.into_iter().map(|(id, tries)| (UserId::stored(id), tries.unwrap_or_default())).collect())
    }

    /// The first held event of a user that is not parked.
    pub async fn next_held(&self, user: UserId) -> Result<Option<HeldEvent>, Error> {
        let found: Option<(i64, EventRow)> = self
            .run(move |connection| {
                on_backend!(connection, |connection| {
                    held_events::table
                        .inner_join(events::table.on(events::id.eq(held_events::event_id)))
                        .filter(held_events::parked_at.is_null().and(held_events::user_id.eq(user.get())))
                        .filter(has_content())
                        .order(held_events::event_id)
                        .select((held_events::tries, EventRow::as_select()))
                        .first(connection)
                        .optional()
                })
            })
            .await?;
        Ok(found.and_then(|(tries, row)| Some(HeldEvent { event: row.into_event()?, tries })))
    }
}

/// Unparks all parked events, so that the relay tries them again. Returns their number.
///
/// # Errors
/// When the database cannot be reached or refuses.
pub fn retry_parked(settings: &Settings) -> Result<usize, RetryError> {
    let mut connection = Connection::open(&settings.url, settings.deadline)?;
    let retried = connection.write(|connection| {
        // Pruning of parked events takes this lock too.
        State::lock(connection)?;
        on_backend!(connection, |connection| {
            diesel::update(held_events::table.filter(held_events::parked_at.is_not_null()))
                .set((held_events::tries.eq(0), held_events::parked_at.eq(None::<TimestampColumn>)))
                .execute(connection)
        })
    })?;
    Ok(retried)
}

/// Why no event was unparked.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    #[error("cannot connect: {0}")]
    Connect(#[from] diesel::ConnectionError),
    #[error("the database refused: {0}")]
    Refused(#[from] diesel::result::Error),
}

/// Stores deliveries. The transaction must hold the lock on the log's state.
pub(super) fn store(connection: &mut Connection, deliveries: &[DeliveryOutcome]) -> QueryResult<()> {
    let pruned_to = State::read(connection)?.pruned_to;
    for delivery in deliveries {
        match *delivery {
            DeliveryOutcome::Waiting { event, user, tries } => hold(connection, event, user, tries, None)?,
            DeliveryOutcome::Parked { event, user, tries, at } => {
                hold(connection, event, user, tries, Some(TimestampColumn(at)))?;
            }
            // The event may have become old enough to be pruned.
            DeliveryOutcome::Published { event } => release(connection, &[event.0], pruned_to).map(drop)?,
        }
    }
    Ok(())
}

fn hold(
    connection: &mut Connection,
    event: Position,
    user: UserId,
    tries: i64,
    parked_at: Option<TimestampColumn>,
) -> QueryResult<()> {
    let values = (held_events::tries.eq(tries), held_events::parked_at.eq(parked_at));
    on_backend!(connection, |connection| {
        diesel::insert_into(held_events::table)
            .values((held_events::event_id.eq(event.0), held_events::user_id.eq(user.get()), values))
            .on_conflict(held_events::event_id)
            .do_update()
            .set(values)
            .execute(connection)
    })
    .map(drop)
}
