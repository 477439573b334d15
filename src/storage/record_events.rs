//! Records changes as events, in the transaction that makes them.

use std::ops::RangeInclusive;

use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment};
use diesel::sql_types::{Array, BigInt, SmallInt, Text, Timestamp as SqlTimestamp};
use diesel::sqlite::SqliteConnection;

use super::create_users::NewRow;
use super::event_row::Kind;
use super::row::Moment;
use super::schema::{events, users};
use crate::telemetry::TracePlace;
use crate::users::{Timestamp, User, Version};

/// What the events of one batch have in common.
#[derive(Clone, Copy)]
pub(super) struct Occasion {
    pub(super) now: Timestamp,
    /// See [`crate::users::Event::uuid`].
    salt: i64,
}

impl Occasion {
    /// Now.
    pub(super) fn now() -> Self {
        let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
        // Both halves have bits that are not random, at different places.
        Self { now: Timestamp::now(), salt: (high ^ low).cast_signed() }
    }
}

/// Records what became of one user.
pub(super) fn record_one(
    sqlite: &mut SqliteConnection,
    kind: Kind,
    user: &User,
    trace: Option<TracePlace>,
    Occasion { now, salt }: Occasion,
) -> QueryResult<()> {
    // Of a user that is gone nothing is kept but that.
    let user_left = (kind != Kind::Deleted).then_some(user);
    diesel::insert_into(events::table)
        .values((
            events::kind.eq(kind.code()),
            events::user_id.eq(user.id.get()),
            events::version.eq(version_of(kind, user).0),
            events::name.eq(user_left.map(|user| user.name.as_str())),
            events::email.eq(user_left.map(|user| user.email.as_str())),
            events::created_at.eq(user_left.map(|user| Moment(user.created_at))),
            events::occurred_at.eq(Moment(now)),
            events::salt.eq(salt),
            events::trace_parent.eq(trace.map(|place| place.to_string())),
        ))
        .execute(sqlite)
        .map(drop)
}

/// Records users that were created one after another: all that have one of these ids.
pub(super) fn record_created(
    sqlite: &mut SqliteConnection,
    ids: RangeInclusive<i64>,
    Occasion { now, salt }: Occasion,
) -> QueryResult<()> {
    users::table
        .filter(users::id.between(*ids.start(), *ids.end()))
        .order(users::id)
        .select((
            Kind::Created.code().into_sql::<SmallInt>(),
            users::id,
            users::version,
            users::name.nullable(),
            users::email.nullable(),
            users::created_at.nullable(),
            Moment(now).into_sql::<SqlTimestamp>(),
            salt.into_sql::<BigInt>(),
        ))
        .insert_into(events::table)
        .into_columns((
            events::kind,
            events::user_id,
            events::version,
            events::name,
            events::email,
            events::created_at,
            events::occurred_at,
            events::salt,
        ))
        .execute(sqlite)
        .map(drop)
}

/// A deletion is a change too, so it has a version of its own.
fn version_of(kind: Kind, user: &User) -> Version {
    if kind == Kind::Deleted { Version(user.version.0 + 1) } else { user.version }
}

const INSERT: &str =
    "INSERT INTO events (kind, user_id, version, name, email, created_at, occurred_at, salt, trace_parent) ";

/// The query that records those that `created` holds.
pub(super) struct RecordCreated<'a> {
    occasion: Occasion,
    moment: Moment,
    /// Of the few that are traced: their addresses' keys, and where in their traces they were made.
    traced: Vec<&'a str>,
    places: Vec<String>,
}

impl<'a> RecordCreated<'a> {
    pub(super) fn new(rows: &[&'a NewRow], occasion: Occasion) -> Self {
        let traced = rows.iter().filter_map(|row| Some((row.email_key().older(), row.trace()?.to_string())));
        let (traced, places) = traced.unzip();
        Self { occasion, moment: Moment(occasion.now), traced, places }
    }

    /// Says what to insert; the statement that it is a part of says into what.
    fn select<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT 1, created.id, 1, created.name, created.email, ");
        out.push_bind_param::<SqlTimestamp, _>(&self.moment)?;
        out.push_sql(", ");
        out.push_bind_param::<SqlTimestamp, _>(&self.moment)?;
        out.push_sql(", ");
        out.push_bind_param::<BigInt, _>(&self.occasion.salt)?;
        out.push_sql(", traced.place FROM created LEFT JOIN unnest(");
        out.push_bind_param::<Array<Text>, _>(&self.traced)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(&self.places)?;
        out.push_sql(") AS traced (email_key, place) ON traced.email_key = created.email_key");
        Ok(())
    }
}

impl QueryFragment<Pg> for RecordCreated<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(INSERT);
        self.select(out)
    }
}

/// The query that records those that `created` holds, and those that `changed` does, of which `found` knows the rest.
pub(super) struct RecordAll<'a>(pub(super) RecordCreated<'a>);

impl QueryFragment<Pg> for RecordAll<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let Self(created) = self;
        out.push_sql(INSERT);
        created.select(out.reborrow())?;
        out.push_sql(
            " UNION ALL SELECT CASE WHEN found.gone THEN 3 ELSE 2 END, changed.id,
                changed.version + CASE WHEN found.gone THEN 1 ELSE 0 END,
                CASE WHEN NOT found.gone THEN changed.name END, CASE WHEN NOT found.gone THEN changed.email END,
                CASE WHEN NOT found.gone THEN changed.created_at END, found.now, ",
        );
        out.push_bind_param::<BigInt, _>(&created.occasion.salt)?;
        out.push_sql(", found.trace_parent FROM changed JOIN found ON found.id = changed.id");
        Ok(())
    }
}
