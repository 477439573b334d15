//! Of all replicas that could relay events, one leads.
//!
//! It proves that it lives by counting up its beat. Whoever has seen the same beat for long enough, by its own clock, takes
//! over. So nobody's clock is compared with another's, and no lock of a session is needed, which a pooler would break. A
//! leader that was taken for dead finds out when it writes down what it has sent; until then two may send, the same events in
//! the same order.

use diesel::prelude::*;
use uuid::Uuid;

use super::held::{self, Fate};
use super::mark::Mark;
use super::{EventLog, State};
use crate::domain::{Error, Position, Timestamp};
use crate::storage::database::connection::{Connection, on_backend};
use crate::storage::database::row::Moment;
use crate::storage::database::schema::{event_log, events, held_events};

/// Who leads, as a replica that would like to finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leading {
    /// It does. All events up to here are sent, or held.
    Me { sent_to: Position },
    /// Another replica does, and this is its last sign of life.
    Other { beat: i64 },
}

/// What is not sent yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// About how many events wait to be sent for the first time: places of the log that stayed empty count too.
    pub pending: i64,
    /// When the oldest of them happened.
    pub oldest_pending: Option<Timestamp>,
    /// How many events are held.
    pub held: i64,
    /// When the oldest of them happened.
    pub oldest_held: Option<Timestamp>,
    /// How many were given up.
    pub parked: i64,
}

#[expect(clippy::missing_errors_doc, reason = "what all methods share is said at the type")]
impl EventLog {
    /// Leads, if it does already, if nobody does, or if the leader's beat is still the one that is taken for its last.
    pub async fn lead(&self, me: Uuid, last_beat: Option<i64>) -> Result<Leading, Error> {
        self.change(move |connection| {
            let me = me.to_string();
            connection.write(|connection| {
                take_lead(connection, &me, last_beat)?;
                let state = State::read(connection)?;
                if state.leader.as_ref() != Some(&me) {
                    return Ok(Leading::Other { beat: state.beat });
                }
                let sent_to = state.settled_to();
                set_sent(connection, &me, Position(state.sent_to), sent_to)?;
                Ok(Leading::Me { sent_to })
            })
        })
        .await
    }

    /// Lets others see that there is a relay, although it cannot lead: what it has yet to send must not be forgotten.
    pub async fn stand_by(&self) -> Result<(), Error> {
        self.change(|connection| {
            connection.write(|connection| {
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

    /// Leaves the lead to whoever asks next.
    pub async fn step_down(&self, me: Uuid) -> Result<(), Error> {
        self.change(move |connection| {
            connection.write(|connection| {
                on_backend!(connection, |connection| {
                    let mine = event_log::table.filter(event_log::leader.eq(me.to_string()));
                    diesel::update(mine).set(event_log::leader.eq(None::<String>)).execute(connection)
                })
                .map(drop)
            })
        })
        .await
    }

    /// Writes down that all events from one place up to another are sent, but for those that are held, and what has become of
    /// these. False, and nothing is written, when another one leads by now, or when it was last written down that they are
    /// sent up to elsewhere, or when the log is not the one that `seen` was seen in: then another database has taken the place of
    /// the first, which lacks some of what was sent and has other events where that was.
    pub async fn advance(
        &self,
        me: Uuid,
        (from, to): (Position, Position),
        seen: Mark,
        fates: Vec<Fate>,
    ) -> Result<bool, Error> {
        self.change(move |connection| {
            connection.write(|connection| {
                let leads = seen.holds(connection)? && set_sent(connection, &me.to_string(), from, to)?;
                if leads && !fates.is_empty() {
                    held::write_down(connection, &fates)?;
                }
                Ok(leads)
            })
        })
        .await
    }

    /// The last sign of life of whoever relays, or would; 0 when nobody ever has.
    pub async fn sign_of_life(&self) -> Result<i64, Error> {
        self.run(|connection| State::read(connection).map(|state| state.beat + state.standby)).await
    }

    /// How much there is to do.
    pub async fn backlog(&self) -> Result<Backlog, Error> {
        self.run(backlog).await
    }
}

fn take_lead(connection: &mut Connection, me: &str, last_beat: Option<i64>) -> QueryResult<()> {
    // Beats count from 0: no leader has this one.
    let last_beat = last_beat.unwrap_or(-1);
    let is_free = event_log::leader.is_null().or(event_log::leader.eq(me)).or(event_log::beat.eq(last_beat));
    on_backend!(connection, |connection| {
        diesel::update(event_log::table.filter(is_free.assume_not_null()))
            .set((event_log::leader.eq(me), event_log::beat.eq(event_log::beat + 1)))
            .execute(connection)
    })
    .map(drop)
}

fn set_sent(connection: &mut Connection, me: &str, from: Position, to: Position) -> QueryResult<bool> {
    let changed = on_backend!(connection, |connection| {
        diesel::update(event_log::table.filter(event_log::leader.eq(me).and(event_log::sent_to.eq(from.0))))
            .set((event_log::sent_to.eq(to.0), event_log::beat.eq(event_log::beat + 1)))
            .execute(connection)
    })?;
    Ok(changed > 0)
}

fn backlog(connection: &mut Connection) -> QueryResult<Backlog> {
    let Position(sent_to) = State::read(connection)?.settled_to();
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
            oldest_pending: oldest_pending.map(|Moment(at)| at),
            held,
            oldest_held: oldest_held.map(|Moment(at)| at),
            parked: parked.count().get_result(connection)?,
        })
    })
}
