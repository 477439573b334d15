//! Creates users.

use std::collections::HashMap;

use diesel::pg::{Pg, PgConnection};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, SingleValue, Text, Timestamp as SqlTimestamp};
use diesel::sqlite::SqliteConnection;

use super::record_events::{Occasion, RecordCreated};
use super::row::Moment;
use super::schema::users;
use crate::telemetry::TracePlace;
use crate::users::{Error, Folded, NewUser, Timestamp, User, UserId, Version};

/// A user to create, with the keys that it is stored under: folded by the caller's thread, not by the actor's.
pub(super) struct NewRow {
    new: NewUser,
    name_key: Folded,
    email_key: Folded,
    trace: Option<TracePlace>,
}

impl NewRow {
    pub(super) fn new(new: NewUser, trace: Option<TracePlace>) -> Self {
        Self { name_key: new.name.key(), email_key: new.email.key(), new, trace }
    }

    /// Where in a trace it is made, if it is traced.
    pub(super) const fn trace(&self) -> Option<TracePlace> {
        self.trace
    }

    pub(super) const fn email_key(&self) -> &Folded {
        &self.email_key
    }

    /// What came of it, by what was created.
    pub(super) fn outcome(&self, created: &Created, now: Timestamp) -> Result<User, Error> {
        created.get(self.email_key.as_str()).map(|id| self.stored_as(*id, now)).ok_or(Error::EmailTaken)
    }

    /// The user that this row became.
    fn stored_as(&self, id: i64, now: Timestamp) -> User {
        User {
            id: UserId::stored(id),
            name: self.new.name.clone(),
            email: self.new.email.clone(),
            version: Version::FIRST,
            created_at: now,
            updated_at: now,
        }
    }
}

/// Creates one user.
pub(super) fn create_one(
    sqlite: &mut SqliteConnection,
    row: &NewRow,
    now: Timestamp,
) -> QueryResult<Result<User, Error>> {
    let id = diesel::insert_into(users::table)
        .values((
            users::name.eq(row.new.name.as_str()),
            users::name_key.eq(row.name_key.as_str()),
            users::email.eq(row.new.email.as_str()),
            users::email_key.eq(row.email_key.as_str()),
            users::version.eq(Version::FIRST.0),
            users::created_at.eq(Moment(now)),
            users::updated_at.eq(Moment(now)),
        ))
        .on_conflict_do_nothing()
        .returning(users::id)
        .get_result::<i64>(sqlite)
        .optional()?;
    Ok(id.map(|id| row.stored_as(id, now)).ok_or(Error::EmailTaken))
}

/// The ids of created users, by the keys of their addresses.
pub(super) type Created = HashMap<String, i64>;

/// Creates many users in one statement, in the order given, and records that; each address may be among them once only.
pub(super) fn create_many(postgres: &mut PgConnection, rows: &[&NewRow], occasion: Occasion) -> QueryResult<Created> {
    let statement =
        CreateMany { created: insert_many(rows, occasion.now), recorded: RecordCreated::new(rows, occasion) };
    Ok(statement.load(postgres)?.into_iter().collect())
}

/// SQL text, because Diesel has no `WITH`.
struct CreateMany<'a, C> {
    created: C,
    recorded: RecordCreated<'a>,
}

impl<C: QueryFragment<Pg>> QueryFragment<Pg> for CreateMany<'_, C> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH created AS (");
        self.created.walk_ast(out.reborrow())?;
        out.push_sql("), recorded AS (");
        self.recorded.walk_ast(out.reborrow())?;
        out.push_sql(") SELECT email_key, id FROM created");
        Ok(())
    }
}

impl<C> QueryId for CreateMany<'_, C> {
    type QueryId = CreateMany<'static, ()>;

    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<C> Query for CreateMany<'_, C> {
    type SqlType = (Text, BigInt);
}

impl<C> RunQueryDsl<PgConnection> for CreateMany<'_, C> {}

/// The statement that creates many users, in the order given; each address may be among them once only.
///
/// The values travel as one array a column: the statement stays the same for every number of rows, and so stays prepared.
pub(super) fn insert_many<'a>(
    rows: &[&'a NewRow],
    now: Timestamp,
) -> impl QueryFragment<Pg> + QueryId + RunQueryDsl<PgConnection> + use<'a> {
    let column = |of: fn(&NewRow) -> &str| Vec::from_iter(rows.iter().map(|row| of(row)));
    let version = Version::FIRST.0.into_sql::<BigInt>();
    let now = Moment(now).into_sql::<SqlTimestamp>();
    diesel::select((
        unnest::<Text, _>(column(|row| row.new.name.as_str())),
        unnest::<Text, _>(column(|row| row.name_key.as_str())),
        unnest::<Text, _>(column(|row| row.new.email.as_str())),
        unnest::<Text, _>(column(|row| row.email_key.as_str())),
        version,
        now,
        now,
    ))
    .insert_into(users::table)
    .into_columns((
        users::name,
        users::name_key,
        users::email,
        users::email_key,
        users::version,
        users::created_at,
        users::updated_at,
    ))
    .on_conflict_do_nothing()
    .returning((users::email_key, users::id, users::name, users::email))
}

#[diesel::declare_sql_function]
extern "SQL" {
    /// One row for each element. Several side by side in a SELECT advance together.
    fn unnest<T: SingleValue>(values: Array<T>) -> T;
}
