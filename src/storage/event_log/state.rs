//! The state of the event log: the one row of the table `event_log`.

use diesel::prelude::*;

use crate::domain::Position;
use crate::storage::database::connection::{Connection, on_backend};
use crate::storage::database::schema::tables::event_log;

/// The one row of the table `event_log`.
#[derive(Queryable, Selectable)]
#[diesel(table_name = event_log)]
pub(super) struct State {
    /// The id of the replica that leads.
    pub(super) leader: Option<String>,
    /// The heartbeat of the leader.
    pub(super) beat: i64,
    /// The heartbeat of replicas that would relay, but cannot lead.
    pub(super) standby: i64,
    /// The published offset.
    sent_to: i64,
    /// All events up to this offset are pruned, except held ones.
    pub(super) pruned_to: i64,
}

impl State {
    const ID: i64 = 1;

    pub(super) fn read(connection: &mut Connection) -> QueryResult<Self> {
        on_backend!(connection, |connection| {
            event_log::table.find(Self::ID).select(Self::as_select()).first(connection)
        })
    }

    /// Reads the state, and locks it until the transaction ends.
    pub(super) fn lock(connection: &mut Connection) -> QueryResult<Self> {
        match connection {
            // On SQLite a writing transaction is alone.
            Connection::Sqlite(..) => Self::read(connection),
            Connection::Postgres(postgres, _) => {
                event_log::table.find(Self::ID).select(Self::as_select()).for_update().first(postgres)
            }
        }
    }

    /// The published offset as it is stored.
    pub(super) const fn stored_sent_to(&self) -> Position {
        Position(self.sent_to)
    }

    /// The offset up to which no event is left to publish: pruned events are not published any more.
    pub(super) fn published_to(&self) -> Position {
        Position(self.sent_to.max(self.pruned_to))
    }
}
