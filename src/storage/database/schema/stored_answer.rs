//! The answer to a write, as it is stored with its idempotency key.

use diesel::prelude::*;

use super::profile_columns::profile;
use super::tables::idempotency_keys;
use super::timestamp_column::TimestampColumn;
use crate::domain::{AsOf, Email, Position, User, UserId, UserName, Version, Written};

#[derive(Queryable, Selectable)]
#[diesel(table_name = idempotency_keys)]
pub(crate) struct StoredAnswer {
    pub(crate) key: Vec<u8>,
    pub(crate) request: Vec<u8>,
    position: i64,
    user_id: i64,
    version: i64,
    name: Option<String>,
    email: Option<String>,
    created_at: Option<TimestampColumn>,
    updated_at: Option<TimestampColumn>,
    external_id: Option<String>,
    status: Option<i16>,
    attributes: Option<String>,
}

impl StoredAnswer {
    pub(crate) fn written(&self) -> Written<Option<User>> {
        Written { answer: AsOf::latest(self.user(), Position(self.position)), is_replay: true }
    }

    /// `None` if the user was deleted, or an operator has erased what names the person.
    fn user(&self) -> Option<User> {
        Some(User {
            id: UserId::stored(self.user_id),
            name: UserName::stored(self.name.clone()?),
            email: Email::stored(self.email.clone()?),
            version: Version(self.version),
            created_at: self.created_at?.0,
            updated_at: self.updated_at?.0,
            profile: profile((self.external_id.clone(), self.status, self.attributes.clone())),
        })
    }
}
