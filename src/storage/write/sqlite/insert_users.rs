//! The statement that inserts up to 16 users.

use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Nullable, SmallInt, Text, Timestamp as SqlTimestamp};
use diesel::sqlite::{Sqlite, SqliteConnection};

use crate::domain::Timestamp;
use crate::storage::database::schema::profile_columns::{ProfileTexts, columns};
use crate::storage::database::schema::timestamp_column::TimestampColumn;
use crate::storage::write::request::Create;

/// Inserts users. SQL text, because Diesel never keeps an INSERT of several rows prepared.
pub(super) struct InsertUsers<'a> {
    rows: &'a [&'a Create],
    address_keys: Vec<Option<&'a str>>,
    /// Empty if no user has one: most have none, and the statement is shorter then.
    profiles: Vec<ProfileTexts<'a>>,
    now: TimestampColumn,
}

impl<'a> InsertUsers<'a> {
    /// Large enough to spread the fixed cost of a statement, and small enough to keep a statement of each length
    /// prepared.
    pub(super) const MAX_ROWS: usize = 16;

    pub(super) fn new(rows: &'a [&'a Create], now: Timestamp) -> Self {
        let address_keys = rows.iter().map(|row| row.email_key().address_key()).collect();
        let has_profiles = rows.iter().any(|row| row.profile().is_some());
        let profiles = if has_profiles { rows.iter().map(|row| columns(row.profile())).collect() } else { Vec::new() };
        Self { rows, address_keys, profiles, now: TimestampColumn(now) }
    }
}

impl QueryFragment<Sqlite> for InsertUsers<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        let (columns, values, external_id) = if self.profiles.is_empty() {
            ("", "", "NULL")
        } else {
            (", external_id, status, attributes", ", new.column6, new.column7, new.column8", "external_id")
        };
        out.push_sql(
            "INSERT INTO users (name, name_key, email, email_key, address_key, has_keys, version, created_at, updated_at",
        );
        out.push_sql(columns);
        out.push_sql(
            ") SELECT new.column1, new.column2, new.column3, new.column4, new.column5, true, 1, moment.now, moment.now",
        );
        out.push_sql(values);
        out.push_sql(" FROM (SELECT ");
        out.push_bind_param::<SqlTimestamp, _>(&self.now)?;
        out.push_sql(" AS now) AS moment, (VALUES ");
        for (at, (row, address_key)) in self.rows.iter().zip(&self.address_keys).enumerate() {
            out.push_sql(if at == 0 { "(" } else { ", (" });
            out.push_bind_param::<Text, _>(row.name())?;
            out.push_sql(", ");
            out.push_bind_param::<Text, _>(row.name_key())?;
            out.push_sql(", ");
            out.push_bind_param::<Text, _>(row.email())?;
            out.push_sql(", ");
            out.push_bind_param::<Text, _>(row.email_key().legacy())?;
            out.push_sql(", ");
            out.push_bind_param::<Nullable<Text>, _>(address_key)?;
            if let Some((external_id, status, attributes)) = self.profiles.get(at) {
                out.push_sql(", ");
                out.push_bind_param::<Nullable<Text>, _>(external_id)?;
                out.push_sql(", ");
                out.push_bind_param::<Nullable<SmallInt>, _>(status)?;
                out.push_sql(", ");
                out.push_bind_param::<Nullable<Text>, _>(attributes)?;
            }
            out.push_sql(")");
        }
        // Without a WHERE, SQLite would parse ON as part of the join.
        out.push_sql(") AS new WHERE true ON CONFLICT DO NOTHING RETURNING email, ");
        out.push_sql(external_id);
        out.push_sql(", id");
        Ok(())
    }
}

impl QueryId for InsertUsers<'_> {
    type QueryId = ();

    /// Diesel keeps it prepared under its text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for InsertUsers<'_> {
    type SqlType = (Text, Nullable<Text>, BigInt);
}

impl RunQueryDsl<SqliteConnection> for InsertUsers<'_> {}
