//! The statement that updates one user.

use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Nullable, SmallInt, Text, Timestamp as SqlTimestamp};
use diesel::sqlite::{Sqlite, SqliteConnection};

use crate::domain::Timestamp;
use crate::storage::database::schema::profile_columns::ProfileTexts;
use crate::storage::database::schema::timestamp_column::TimestampColumn;
use crate::storage::database::schema::user_row::UserColumns;
use crate::storage::write::request::Update;

/// Updates one user. SQL text, because Diesel never keeps an UPDATE prepared, and preparing it takes longer than
/// running it. Sets only columns that change: SQLite writes every index on a column that is set.
pub(super) struct UpdateUser<'a> {
    id: i64,
    expected: Option<i64>,
    changes: [(&'static str, Option<&'a str>); 4],
    changes_address: bool,
    /// The key of the new address, if the address changes.
    address_key: Option<&'a str>,
    /// The new profile, if it changes.
    profile: Option<ProfileTexts<'a>>,
    now: TimestampColumn,
}

impl<'a> UpdateUser<'a> {
    /// `profile` is the new one, if the update changes it.
    pub(super) fn new(update: &'a Update, profile: Option<ProfileTexts<'a>>, now: Timestamp) -> Self {
        let changes = [
            (", name = ", update.name()),
            (", name_key = ", update.name_key()),
            (", email = ", update.email()),
            (", email_key = ", update.email_key()),
        ];
        Self {
            id: update.id.get(),
            expected: update.expected.map(|version| version.0),
            changes,
            changes_address: update.email().is_some(),
            address_key: update.address_key(),
            profile,
            now: TimestampColumn(now),
        }
    }
}

impl QueryFragment<Sqlite> for UpdateUser<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("UPDATE users SET version = version + 1, key_revision = key_revision + 1, updated_at = ");
        out.push_bind_param::<SqlTimestamp, _>(&self.now)?;
        for (column, value) in &self.changes {
            if let Some(value) = value {
                out.push_sql(column);
                out.push_bind_param::<Text, _>(value)?;
            }
        }
        if self.changes_address {
            out.push_sql(", duplicate_of = NULL, address_key = ");
            out.push_bind_param::<Nullable<Text>, _>(&self.address_key)?;
        }
        if let Some((external_id, status, attributes)) = &self.profile {
            out.push_sql(", external_id = ");
            out.push_bind_param::<Nullable<Text>, _>(external_id)?;
            out.push_sql(", status = ");
            out.push_bind_param::<Nullable<SmallInt>, _>(status)?;
            out.push_sql(", attributes = ");
            out.push_bind_param::<Nullable<Text>, _>(attributes)?;
        }
        out.push_sql(" WHERE id = ");
        out.push_bind_param::<BigInt, _>(&self.id)?;
        if let Some(version) = &self.expected {
            out.push_sql(" AND version = ");
            out.push_bind_param::<BigInt, _>(version)?;
        }
        out.push_sql(" RETURNING id, name, email, version, created_at, updated_at, external_id, status, attributes");
        Ok(())
    }
}

impl QueryId for UpdateUser<'_> {
    type QueryId = ();

    /// Diesel keeps it prepared under its text, of which there are a few.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for UpdateUser<'_> {
    type SqlType = UserColumns<Sqlite>;
}

impl RunQueryDsl<SqliteConnection> for UpdateUser<'_> {}
