//! How an event is stored in the database.

use diesel::prelude::*;
use uuid::Uuid;

use super::checkpoint::Checkpoint;
use crate::domain::{Change, Email, Event, Position, User, UserId, UserName, Version};
use crate::storage::database::schema::profile_columns::profile;
use crate::storage::database::schema::tables::events;
use crate::storage::database::schema::timestamp_column::TimestampColumn;

/// The kind of change. The statements that record events contain the same numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventKind {
    Created,
    Updated,
    Deleted,
}

impl EventKind {
    pub(crate) const fn code(self) -> i16 {
        match self {
            Self::Created => 1,
            Self::Updated => 2,
            Self::Deleted => 3,
        }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = events)]
pub(crate) struct EventRow {
    pub(crate) id: i64,
    kind: i16,
    user_id: i64,
    version: i64,
    name: Option<String>,
    email: Option<String>,
    created_at: Option<TimestampColumn>,
    occurred_at: TimestampColumn,
    salt: i64,
    trace_parent: Option<String>,
    known_columns: Option<i16>,
    external_id: Option<String>,
    status: Option<i16>,
    attributes: Option<String>,
}

/// The [`EVENT_COLUMNS`](crate::storage::database::schema::EVENT_COLUMNS) since which events have the user's profile.
const WITH_PROFILE: i16 = 2;

impl EventRow {
    /// Whether this release knows the kind of event: a newer release may have written it.
    pub(crate) fn is_known(&self) -> bool {
        [EventKind::Created, EventKind::Updated, EventKind::Deleted].into_iter().any(|kind| kind.code() == self.kind)
    }

    /// The event's id, which no other event has.
    pub(crate) fn uuid(&self) -> Uuid {
        Event::uuid(self.occurred_at.0, self.salt, Position(self.id))
    }

    /// The event's offset, and the event as proof of the log.
    pub(crate) fn checkpoint(&self) -> Checkpoint {
        Checkpoint::event(Position(self.id), self.uuid())
    }

    /// The event. `None` if an operator has blanked it: the user was not deleted, but its data is missing.
    pub(crate) fn into_event(self) -> Option<Event> {
        let (position, id, occurred_at) = (Position(self.id), self.uuid(), self.occurred_at.0);
        let (user_id, version) = (UserId::stored(self.user_id), Version(self.version));
        let change = if self.kind == EventKind::Deleted.code() {
            Change::Deleted
        } else {
            let (name, email, TimestampColumn(created_at)) = (self.name?, self.email?, self.created_at?);
            let (name, email) = (UserName::stored(name), Email::stored(email));
            let profile = profile((self.external_id, self.status, self.attributes));
            let user = User { id: user_id, name, email, version, created_at, updated_at: occurred_at, profile };
            if self.kind == EventKind::Created.code() { Change::Created(user) } else { Change::Updated(user) }
        };
        let knows_profile = self.known_columns >= Some(WITH_PROFILE);
        let trace_parent = self.trace_parent;
        Some(Event { position, id, occurred_at, user_id, version, change, knows_profile, trace_parent })
    }
}

/// Selects events that have not been blanked.
#[diesel::dsl::auto_type(no_type_alias)]
pub(crate) fn has_content() -> _ {
    let deleted: i16 = EventKind::Deleted.code();
    events::kind.eq(deleted).or(events::name.is_not_null())
}
