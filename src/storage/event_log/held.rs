//! Events that the broker refused, and the later ones of the same users, which wait behind them. They are kept in a table of
//! their own, so that the log can go on.

use diesel::prelude::*;

use super::event_row::{EventRow, is_whole};
use super::prune::release;
use super::{EventLog, State};
use crate::domain::{Error, Event, Position, Timestamp, UserId};
use crate::storage::database::connection::{Connection, on_backend};
use crate::storage::database::row::Moment;
use crate::storage::database::schema::{events, held_events};
use crate::storage::database::settings::Settings;

/// An event that is held.
#[derive(Clone, Debug)]
pub struct Held {
    pub event: Event,
    /// How often it was refused.
    pub tries: i64,
}

/// What has become of an event that is, or was, held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It waits, refused so many times.
    Waits { event: Position, user: UserId, tries: i64 },
    /// It was given up.
    Parked { event: Position, user: UserId, tries: i64, at: Timestamp },
    /// It is sent.
    Sent { event: Position },
}

#[expect(clippy::missing_errors_doc, reason = "what all methods share is said at the type")]
impl EventLog {
    /// Users with events that wait, no more than `limit`, and how often the first event of each was refused.
    pub async fn held_users(&self, limit: i64) -> Result<Vec<(UserId, i64)>, Error> {
        let users: Vec<(i64, Option<i64>)> = self
            .run(move |connection| {
                on_backend!(connection, |connection| {
                    // Only the first was ever sent.
                    let tries = diesel::dsl::max(held_events::tries);
                    let waits = held_events::table.filter(held_events::parked_at.is_null());
                    let users = waits.group_by(held_events::user_id).select((held_events::user_id, tries));
                    users.limit(limit).load(connection)
                })
            })
            .await?;
        Ok(users.into_iter().map(|(id, tries)| (UserId::stored(id), tries.unwrap_or_default())).collect())
    }

    /// The first event of a user that waits.
    pub async fn next_held(&self, user: UserId) -> Result<Option<Held>, Error> {
        let found: Option<(i64, EventRow)> = self
            .run(move |connection| {
                on_backend!(connection, |connection| {
                    held_events::table
                        .inner_join(events::table.on(events::id.eq(held_events::event_id)))
                        .filter(held_events::parked_at.is_null().and(held_events::user_id.eq(user.get())))
                        .filter(is_whole())
                        .order(held_events::event_id)
                        .select((held_events::tries, EventRow::as_select()))
                        .first(connection)
                        .optional()
                })
            })
            .await?;
        Ok(found.and_then(|(tries, row)| Some(Held { event: row.told()?, tries })))
    }
}

/// Has the relay try again what it had given up, and returns how many events that are.
///
/// # Errors
/// When the database cannot be reached or refuses.
pub fn retry_parked(settings: &Settings) -> Result<usize, RetryError> {
    let mut connection = Connection::open(&settings.url, settings.deadline)?;
    let retried = connection.write(|connection| {
        // Whoever forgets parked events does that too.
        State::lock(connection)?;
        on_backend!(connection, |connection| {
            diesel::update(held_events::table.filter(held_events::parked_at.is_not_null()))
                .set((held_events::tries.eq(0), held_events::parked_at.eq(None::<Moment>)))
                .execute(connection)
        })
    })?;
    Ok(retried)
}

/// Why nothing is tried again.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    #[error("cannot connect: {0}")]
    Connect(#[from] diesel::ConnectionError),
    #[error("the database refused: {0}")]
    Refused(#[from] diesel::result::Error),
}

/// Writes down what has become of events. In a transaction that holds the lock on the log's state.
pub(super) fn write_down(connection: &mut Connection, fates: &[Fate]) -> QueryResult<()> {
    let pruned_to = State::read(connection)?.pruned_to;
    for fate in fates {
        match *fate {
            Fate::Waits { event, user, tries } => put(connection, event, user, tries, None)?,
            Fate::Parked { event, user, tries, at } => put(connection, event, user, tries, Some(Moment(at)))?,
            // It may have become old in the meantime.
            Fate::Sent { event } => release(connection, &[event.0], pruned_to).map(drop)?,
        }
    }
    Ok(())
}

fn put(
    connection: &mut Connection,
    event: Position,
    user: UserId,
    tries: i64,
    parked_at: Option<Moment>,
) -> QueryResult<()> {
    let what = (held_events::tries.eq(tries), held_events::parked_at.eq(parked_at));
    on_backend!(connection, |connection| {
        diesel::insert_into(held_events::table)
            .values((held_events::event_id.eq(event.0), held_events::user_id.eq(user.get()), what))
            .on_conflict(held_events::event_id)
            .do_update()
            .set(what)
            .execute(connection)
    })
    .map(drop)
}
