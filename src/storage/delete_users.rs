//! Deletes users, each if its version is the expected one.

use std::collections::HashMap;

use diesel::pg::{Pg, PgConnection};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Nullable};
use diesel::sqlite::SqliteConnection;

use super::row::{UserColumns, UserRow};
use super::schema::users;
use super::update_users::{is_expected, why_not};
use crate::users::{Error, User, UserId, Version};

/// A user to delete.
pub(super) struct Delete {
    pub(super) id: UserId,
    pub(super) expected: Option<Version>,
}

/// Deletes one user.
pub(super) fn delete_one(sqlite: &mut SqliteConnection, delete: &Delete) -> QueryResult<Result<User, Error>> {
    let target = users::table.find(delete.id.get()).filter(is_expected(delete.expected));
    let deleted = diesel::delete(target).returning(UserRow::as_returning()).get_result::<UserRow>(sqlite).optional()?;
    match deleted {
        Some(row) => Ok(Ok(row.into())),
        None => why_not(sqlite, delete.id).map(Err),
    }
}

/// Deletes many users in one statement. They are locked, and `versions` holds what the lock found; each may be among them
/// once only.
pub(super) fn delete_many(
    postgres: &mut PgConnection,
    deletes: &[&Delete],
    versions: &HashMap<i64, i64>,
) -> QueryResult<Vec<Result<User, Error>>> {
    let statement = DeleteMany {
        ids: deletes.iter().map(|delete| delete.id.get()).collect(),
        expected: deletes.iter().map(|delete| delete.expected.map(|version| version.0)).collect(),
    };
    let rows = statement.load::<UserRow>(postgres)?;
    let mut deleted: HashMap<i64, User> = rows.into_iter().map(|row| (row.id, row.into())).collect();
    let outcome = |delete: &&Delete| {
        let id = delete.id.get();
        let why_not = || {
            if versions.contains_key(&id) { Error::VersionMismatch } else { Error::NotFound }
        };
        deleted.remove(&id).ok_or_else(why_not)
    };
    Ok(deletes.iter().map(outcome).collect())
}

/// SQL text, because Diesel has no `DELETE ... USING`. The values travel as one array a column, so that the statement stays
/// prepared whatever the number of rows.
#[derive(QueryId)]
struct DeleteMany {
    ids: Vec<i64>,
    expected: Vec<Option<i64>>,
}

impl QueryFragment<Pg> for DeleteMany {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("DELETE FROM users USING unnest(");
        out.push_bind_param::<Array<BigInt>, _>(&self.ids)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<BigInt>>, _>(&self.expected)?;
        out.push_sql(
            ") AS wanted (id, version)
            WHERE users.id = wanted.id AND (wanted.version IS NULL OR users.version = wanted.version)
            RETURNING users.id, users.name, users.email, users.version, users.created_at, users.updated_at",
        );
        Ok(())
    }
}

impl Query for DeleteMany {
    type SqlType = UserColumns;
}

impl<C> RunQueryDsl<C> for DeleteMany {}
