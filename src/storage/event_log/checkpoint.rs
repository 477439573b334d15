//! Detects that another log has taken the place of the one that was read.
//!
//! The database behind an address may be replaced by one that lacks the last events and assigns their offsets to
//! others: a standby that was behind, a backup. By the next poll it may have advanced further than the first, so
//! offsets do not reveal it. The last event that was seen does: its id holds its salt, which is random. Each read of a
//! follower begins with that event, in the same statement, so it costs one row and no other log can come in between. If
//! another event is there, or none although it was not pruned, this is another log.
//!
//! No offset says by itself that the log is the one that was read before.

use diesel::prelude::*;
use uuid::Uuid;

use crate::domain::{Event, Position};
use crate::storage::database::connection::{Connection, on_backend};
use crate::storage::database::schema::tables::{event_log, events};
use crate::storage::database::schema::timestamp_column::TimestampColumn;

/// An offset in a log, and what identifies the log there: the id of the event at that offset, or that it was pruned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    position: Position,
    known: Known,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Known {
    /// Nothing: the offset was never read.
    #[default]
    Nothing,
    /// All events up to the offset are pruned.
    Pruned,
    /// The id of the event at the offset. No other event has it.
    Event(Uuid),
}

impl Checkpoint {
    /// An offset about which nothing is known.
    #[must_use]
    pub const fn unknown(position: Position) -> Self {
        Self { position, known: Known::Nothing }
    }

    /// The offset of an event.
    #[must_use]
    pub const fn of(event: &Event) -> Self {
        Self::event(event.position, event.id)
    }

    pub(crate) const fn event(position: Position, id: Uuid) -> Self {
        Self { position, known: Known::Event(id) }
    }

    pub(crate) const fn pruned(position: Position) -> Self {
        Self { position, known: Known::Pruned }
    }

    #[must_use]
    pub const fn position(&self) -> Position {
        self.position
    }

    /// The checkpoint after an event with this id, or none, was found at its offset. `None` if this is another log.
    ///
    /// Events must be read before this is called, or together with the id: then they came from the same log.
    pub(crate) fn checked(self, found: Option<Uuid>, connection: &mut Connection) -> QueryResult<Option<Self>> {
        let Self { position, known } = self;
        match (known, found) {
            (Known::Nothing, found) => Ok(Some(found.map_or(self, |id| Self::event(position, id)))),
            (Known::Event(id), Some(found)) => Ok((id == found).then_some(self)),
            // A log never unprunes.
            (Known::Event(_), None) | (Known::Pruned, _) => {
                Ok((position.0 <= pruned_to(connection)?).then_some(Self::pruned(position)))
            }
        }
    }

    /// Whether this is the log in which the checkpoint was made. Must be called after reading from the log.
    pub(crate) fn holds(self, connection: &mut Connection) -> QueryResult<bool> {
        let found: Option<(TimestampColumn, i64)> = on_backend!(connection, |connection| {
            let columns = (events::occurred_at, events::salt);
            events::table.find(self.position.0).select(columns).first(connection).optional()
        })?;
        let found = found.map(|(TimestampColumn(at), salt)| Event::uuid(at, salt, self.position));
        Ok(self.checked(found, connection)?.is_some())
    }
}

fn pruned_to(connection: &mut Connection) -> QueryResult<i64> {
    on_backend!(connection, |connection| event_log::table.select(event_log::pruned_to).first(connection))
}
