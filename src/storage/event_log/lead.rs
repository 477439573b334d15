//! Elects the replica that relays events: the leader.
//!
//! Only a replica with a connection to the broker may lead. The leader's name is in the table `event_log`, beside a
//! heartbeat that it increments each second. Another replica that has seen the same heartbeat for three seconds, by its
//! own clock, puts its own name there. So no two clocks are compared, and there is no session lock, which a pooler
//! would break.
//!
//! A leader that was only slow learns of it when it stores the published offset, which it may only do under its own
//! name. Until then two replicas publish, which does no harm: each publishes a user's events in order, and starts at or
//! before an event that is known to be published.
//!
//! The leader also ends its session when the database does not answer, when the published offset is not what it stored
//! last, and when the last event it has read is no longer in the log: another database may have taken the place of the
//! first. It checks that in the transaction that stores the offset. Otherwise a leader that had read further in the old
//! log would mark offsets as published, and no replica would publish the events that the new log has there.

use diesel::prelude::*;
use uuid::Uuid;

use super::checkpoint::Checkpoint;
use super::handle::EventLog;
use super::held_events::{self, DeliveryOutcome};
use super::state::State;
use crate::domain::{Error, Position};
use crate::storage::database::connection::{Connection, on_backend};
use crate::storage::database::schema::tables::event_log;

/// Who leads, as one replica sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leadership {
    /// This replica leads. All events up to this offset are published or held.
    Me { sent_to: Position },
    /// Another replica leads, with this heartbeat.
    Other { beat: i64 },
}

#[expect(clippy::missing_errors_doc, reason = "the type documents the errors that all methods share")]
impl EventLog {
    /// Takes or keeps the lead, if this replica leads already, if none does, or if the leader's heartbeat still equals
    /// `last_beat`.
    pub async fn lead(&self, me: Uuid, last_beat: Option<i64>) -> Result<Leadership, Error> {
        self.change(move |connection| {
            let me = me.to_string();
            connection.write_no_user(|connection| {
                take_lead(connection, &me, last_beat)?;
                let state = State::read(connection)?;
                if state.leader.as_ref() != Some(&me) {
                    return Ok(Leadership::Other { beat: state.beat });
                }
                let sent_to = state.published_to();
                store_published(connection, &me, state.stored_sent_to(), sent_to)?;
                Ok(Leadership::Me { sent_to })
            })
        })
        .await
    }

    /// Increments the heartbeat of a relay that cannot lead, so that unpublished events are not pruned.
    pub async fn stand_by(&self) -> Result<(), Error> {
        self.change(|connection| {
            connection.write_no_user(|connection| {
                on_backend!(connection, |connection| {
                    diesel::update(event_log::table)
                        .set(event_log::standby.eq(event_log::standby + 1))
                        .execute(connection)
                })
                .map(drop)
            })
        })
        .await
    }

    /// Gives up the lead.
    pub async fn step_down(&self, me: Uuid) -> Result<(), Error> {
        self.change(move |connection| {
            connection.write_no_user(|connection| {
                on_backend!(connection, |connection| {
                    let mine = event_log::table.filter(event_log::leader.eq(me.to_string()));
                    diesel::update(mine).set(event_log::leader.eq(None::<String>)).execute(connection)
                })
                .map(drop)
            })
        })
        .await
    }

    /// Stores that all events between two offsets are published, except held ones, and stores the deliveries of these.
    ///
    /// Stores nothing and returns false if another replica leads by now, if the stored offset is not `from`, or if the
    /// log is not the one in which `seen` was made. In the last case another database has taken the place of the first.
    /// It lacks some published events and has other events at their offsets.
    pub async fn advance(
        &self,
        me: Uuid,
        (from, to): (Position, Position),
        seen: Checkpoint,
        deliveries: Vec<DeliveryOutcome>,
    ) -> Result<bool, Error> {
        self.change(move |connection| {
            connection.write_no_user(|connection| {
                let leads = seen.holds(connection)? && store_published(connection, &me.to_string(), from, to)?;
                if leads && !deliveries.is_empty() {
                    held_events::store(connection, &deliveries)?;
                }
                Ok(leads)
            })
        })
        .await
    }

    /// The sum of all heartbeats of relays; 0 if there was never one.
    pub async fn heartbeat(&self) -> Result<i64, Error> {
        self.run(|connection| State::read(connection).map(|state| state.beat + state.standby)).await
    }
}

fn take_lead(connection: &mut Connection, me: &str, last_beat: Option<i64>) -> QueryResult<()> {
    // Heartbeats count from 0, so no leader has this one.
    let last_beat = last_beat.unwrap_or(-1);
    let is_free = event_log::leader.is_null().or(event_log::leader.eq(me)).or(event_log::beat.eq(last_beat));
    on_backend!(connection, |connection| {
        diesel::update(event_log::table.filter(is_free.assume_not_null()))
            .set((event_log::leader.eq(me), event_log::beat.eq(event_log::beat + 1)))
            .execute(connection)
    })
    .map(drop)
}

fn store_published(connection: &mut Connection, me: &str, from: Position, to: Position) -> QueryResult<bool> {
    let changed = on_backend!(connection, |connection| {
        diesel::update(event_log::table.filter(event_log::leader.eq(me).and(event_log::sent_to.eq(from.0))))
            .set((event_log::sent_to.eq(to.0), event_log::beat.eq(event_log::beat + 1)))
            .execute(connection)
    })?;
    Ok(changed > 0)
}
