//! Records changes as events, in the transaction that makes them.

use std::ops::RangeInclusive;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, SmallInt, Timestamp as SqlTimestamp};
use diesel::sqlite::SqliteConnection;

use super::event_row::Kind;
use crate::domain::{Timestamp, User, Version};
use crate::storage::database::row::Moment;
use crate::storage::database::schema::{events, users};
use crate::telemetry::TracePlace;

/// What the changes of one batch have in common.
#[derive(Clone, Copy)]
pub(crate) struct Stamp {
    pub(crate) now: Timestamp,
    /// See [`crate::domain::Event::uuid`].
    pub(crate) salt: i64,
}

impl Stamp {
    /// Now.
    pub(crate) fn now() -> Self {
        let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
        // Both halves have bits that are not random, at different places.
        Self { now: Timestamp::now(), salt: (high ^ low).cast_signed() }
    }
}

/// Records what became of one user.
pub(crate) fn record_one(
    sqlite: &mut SqliteConnection,
    kind: Kind,
    user: &User,
    trace: Option<TracePlace>,
    Stamp { now, salt }: Stamp,
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
pub(crate) fn record_created(
    sqlite: &mut SqliteConnection,
    ids: RangeInclusive<i64>,
    Stamp { now, salt }: Stamp,
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
