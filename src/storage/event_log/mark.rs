//! Tells one log of events from another.
//!
//! The database behind the service's address may be replaced by another one, which lacks the last events of the first: by a
//! standby that was behind, or by a backup. It gives the places of those to other events, and may have gone beyond all of them
//! by the time somebody looks. So a position alone shows nothing: what stands there has to be looked at.

use diesel::prelude::*;
use uuid::Uuid;

use crate::domain::{Event, Position};
use crate::storage::database::connection::{Connection, on_backend};
use crate::storage::database::row::Moment;
use crate::storage::database::schema::{event_log, events};

/// A place in a log of events, and what is known of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    position: Position,
    known: Known,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Known {
    /// Nothing: it was never looked at.
    #[default]
    Nothing,
    /// All events up to there are pruned.
    Pruned,
    /// The event that stands there has this id, which no other event has.
    Event(Uuid),
}

impl Mark {
    /// A place of which nothing is known.
    #[must_use]
    pub const fn unknown(position: Position) -> Self {
        Self { position, known: Known::Nothing }
    }

    /// The place of an event.
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

    /// The same place, as it is known now that an event with this id, or none, was found there. `None` if this is another log.
    ///
    /// What was to be read from the log must have been read before, or together with the id: then it came from the same log.
    pub(crate) fn checked(self, found: Option<Uuid>, connection: &mut Connection) -> QueryResult<Option<Self>> {
        let Self { position, known } = self;
        match (known, found) {
            (Known::Nothing, found) => Ok(Some(found.map_or(self, |id| Self::event(position, id)))),
            (Known::Event(id), Some(found)) => Ok((id == found).then_some(self)),
            // A log never takes back that it is pruned.
            (Known::Event(_), None) | (Known::Pruned, _) => {
                Ok((position.0 <= pruned_to(connection)?).then_some(Self::pruned(position)))
            }
        }
    }

    /// Whether the log is the one that the mark was made in. To be asked after what was to be read from it.
    pub(crate) fn holds(self, connection: &mut Connection) -> QueryResult<bool> {
        let found: Option<(Moment, i64)> = on_backend!(connection, |connection| {
            let columns = (events::occurred_at, events::salt);
            events::table.find(self.position.0).select(columns).first(connection).optional()
        })?;
        let found = found.map(|(Moment(at), salt)| Event::uuid(at, salt, self.position));
        Ok(self.checked(found, connection)?.is_some())
    }
}

fn pruned_to(connection: &mut Connection) -> QueryResult<i64> {
    on_backend!(connection, |connection| event_log::table.select(event_log::pruned_to).first(connection))
}
