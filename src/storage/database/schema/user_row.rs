//! How a user is stored in the database.

use diesel::pg::Pg;
use diesel::prelude::*;

use super::profile_columns::profile;
use super::tables::users;
use super::timestamp_column::TimestampColumn;
use crate::domain::{Email, User, UserId, UserName, Version};

/// The columns of a [`User`].
#[derive(Queryable, Selectable)]
#[diesel(table_name = users)]
pub(crate) struct UserRow {
    pub(crate) id: i64,
    name: String,
    email: String,
    pub(crate) version: i64,
    created_at: TimestampColumn,
    updated_at: TimestampColumn,
    external_id: Option<String>,
    status: Option<i16>,
    attributes: Option<String>,
}

/// The SQL types of a [`UserRow`], in its order.
pub(crate) type UserColumns<DB> = diesel::dsl::SqlTypeOf<diesel::dsl::AsSelect<UserRow, DB>>;

/// The SQL types of an optional [`UserRow`].
pub(crate) type MaybeUserColumns = diesel::dsl::SqlTypeOf<diesel::dsl::AsSelect<Option<UserRow>, Pg>>;

impl From<UserRow> for User {
    fn from(row: UserRow) -> Self {
        Self {
            id: UserId::stored(row.id),
            name: UserName::stored(row.name),
            email: Email::stored(row.email),
            version: Version(row.version),
            created_at: row.created_at.0,
            updated_at: row.updated_at.0,
            profile: profile((row.external_id, row.status, row.attributes)),
        }
    }
}
