//! How an event lies in the database.

use diesel::prelude::*;
use uuid::Uuid;

use super::mark::Mark;
use crate::domain::{Change, Email, Event, Position, User, UserId, UserName, Version};
use crate::storage::database::row::Moment;
use crate::storage::database::schema::events;

/// What became of the user. The numbers also stand in the statements that record events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Created,
    Updated,
    Deleted,
}

impl Kind {
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
    created_at: Option<Moment>,
    occurred_at: Moment,
    salt: i64,
    trace_parent: Option<String>,
}

impl EventRow {
    /// Whether this release knows what it says: a newer one may have written it.
    pub(crate) fn is_known(&self) -> bool {
        [Kind::Created, Kind::Updated, Kind::Deleted].into_iter().any(|kind| kind.code() == self.kind)
    }

    /// The event's id, which tells it from all others.
    pub(crate) fn uuid(&self) -> Uuid {
        Event::uuid(self.occurred_at.0, self.salt, Position(self.id))
    }

    /// Its place in the log, and that it stands there.
    pub(crate) fn mark(&self) -> Mark {
        Mark::event(Position(self.id), self.uuid())
    }

    /// What is told. `None` if it says no more of a user who was not deleted: somebody has blanked it.
    pub(crate) fn told(self) -> Option<Event> {
        let (position, id, occurred_at) = (Position(self.id), self.uuid(), self.occurred_at.0);
        let (user_id, version) = (UserId::stored(self.user_id), Version(self.version));
        let change = if self.kind == Kind::Deleted.code() {
            Change::Deleted
        } else {
            let (name, email, Moment(created_at)) = (self.name?, self.email?, self.created_at?);
            let (name, email) = (UserName::stored(name), Email::stored(email));
            let user = User { id: user_id, name, email, version, created_at, updated_at: occurred_at };
            if self.kind == Kind::Created.code() { Change::Created(user) } else { Change::Updated(user) }
        };
        Some(Event { position, id, occurred_at, user_id, version, change, trace_parent: self.trace_parent })
    }
}

/// Picks those that have something to tell.
#[diesel::dsl::auto_type(no_type_alias)]
pub(crate) fn is_whole() -> _ {
    let deleted: i16 = Kind::Deleted.code();
    events::kind.eq(deleted).or(events::name.is_not_null())
}
