//! How an event lies in the database.

use diesel::prelude::*;

use super::row::Moment;
use super::schema::events;
use crate::users::{Change, Email, Event, Position, User, UserId, UserName, Version};

/// What became of the user. The numbers also stand in the statements that record events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Created,
    Updated,
    Deleted,
}

impl Kind {
    pub(super) const fn code(self) -> i16 {
        match self {
            Self::Created => 1,
            Self::Updated => 2,
            Self::Deleted => 3,
        }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = events)]
pub(super) struct EventRow {
    pub(super) id: i64,
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

impl From<EventRow> for Event {
    fn from(row: EventRow) -> Self {
        let (position, occurred_at) = (Position(row.id), row.occurred_at.0);
        let (user_id, version) = (UserId::stored(row.user_id), Version(row.version));
        let user = match (row.name, row.email, row.created_at) {
            (Some(name), Some(email), Some(Moment(created_at))) => Some(User {
                id: user_id,
                name: UserName::stored(name),
                email: Email::stored(email),
                version,
                created_at,
                updated_at: occurred_at,
            }),
            _ => None,
        };
        let change = match user {
            Some(user) if row.kind == Kind::Created.code() => Change::Created(user),
            Some(user) => Change::Updated(user),
            None => Change::Deleted,
        };
        let id = Self::uuid(occurred_at, row.salt, position);
        Self { position, id, occurred_at, user_id, version, change, trace_parent: row.trace_parent }
    }
}
