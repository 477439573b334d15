//! The update as SQL text. Diesel would prepare its own UPDATE every time, because the columns may vary. On PostgreSQL
//! that is one more round trip, which would count against the classic way.

use chrono::{NaiveDateTime, Utc};
use diesel::backend::Backend;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, HasSqlType, Text, Timestamp};
use user_service::domain::NewUser;

#[derive(QueryId)]
pub(super) struct Update {
    id: i64,
    version: i64,
    name: String,
    name_key: String,
    email: String,
    email_key: String,
    updated_at: NaiveDateTime,
}

impl Update {
    pub(super) fn new(id: i64, version: i64, new: NewUser) -> Self {
        Self {
            id,
            version,
            name_key: new.name.key().into_string(),
            name: new.name.into_string(),
            email_key: new.email.key().legacy().to_owned(),
            email: new.email.into_string(),
            updated_at: Utc::now().naive_utc(),
        }
    }
}

impl<DB> QueryFragment<DB> for Update
where
    DB: Backend + HasSqlType<BigInt> + HasSqlType<Text> + HasSqlType<Timestamp>,
    i64: ToSql<BigInt, DB>,
    String: ToSql<Text, DB>,
    NaiveDateTime: ToSql<Timestamp, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql("UPDATE users SET version = version + 1, key_revision = key_revision + 1, name = ");
        out.push_bind_param::<Text, _>(&self.name)?;
        out.push_sql(", name_key = ");
        out.push_bind_param::<Text, _>(&self.name_key)?;
        out.push_sql(", email = ");
        out.push_bind_param::<Text, _>(&self.email)?;
        out.push_sql(", email_key = ");
        out.push_bind_param::<Text, _>(&self.email_key)?;
        out.push_sql(", updated_at = ");
        out.push_bind_param::<Timestamp, _>(&self.updated_at)?;
        out.push_sql(" WHERE id = ");
        out.push_bind_param::<BigInt, _>(&self.id)?;
        out.push_sql(" AND version = ");
        out.push_bind_param::<BigInt, _>(&self.version)?;
        out.push_sql(" RETURNING id, name, email, version, created_at, updated_at");
        Ok(())
    }
}

impl Query for Update {
    type SqlType = (BigInt, Text, Text, BigInt, Timestamp, Timestamp);
}

impl<C> RunQueryDsl<C> for Update {}
