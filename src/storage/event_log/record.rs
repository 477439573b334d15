//! Records changes as events, in the transaction that makes them.

use std::ops::RangeInclusive;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, SmallInt, Timestamp as SqlTimestamp};
use diesel::sqlite::SqliteConnection;

use super::event_row::EventKind;
use crate::domain::{Timestamp, User, Version};
use crate::storage::database::schema::EVENT_COLUMNS;
use crate::storage::database::schema::profile_columns::columns;
use crate::storage::database::schema::tables::{events, users};
use crate::storage::database::schema::timestamp_column::TimestampColumn;
use crate::storage::database::schema::user_row::UserRow;
use crate::telemetry::TracedSpan;

/// What all events of one batch share.
#[derive(Clone, Copy)]
pub(crate) struct Stamp {
    pub(crate) now: Timestamp,
    /// See [`crate::domain::Event::uuid`].
    pub(crate) salt: i64,
}

impl Stamp {
    /// The current time and a random salt.
    pub(crate) fn now() -> Self {
        let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
        // Both halves contain bits that are not random, at different positions.
        Self { now: Timestamp::now(), salt: (high ^ low).cast_signed() }
    }
}

/// Records the event of one user.
pub(crate) fn record_one(
    sqlite: &mut SqliteConnection,
    kind: EventKind,
    user: &User,
    trace: Option<TracedSpan>,
    Stamp { now, salt }: Stamp,
) -> QueryResult<()> {
    // The event of a deletion keeps nothing of the user's data.
    let user_left = (kind != EventKind::Deleted).then_some(user);
    let (external_id, status, attributes) = columns(user_left.and_then(|user| user.profile.as_deref()));
    diesel::insert_into(events::table)
        .values((
            events::kind.eq(kind.code()),
            events::user_id.eq(user.id.get()),
            events::version.eq(version_of(kind, user).0),
            events::name.eq(user_left.map(|user| user.name.as_str())),
            events::email.eq(user_left.map(|user| user.email.as_str())),
            events::created_at.eq(user_left.map(|user| TimestampColumn(user.created_at))),
            events::occurred_at.eq(TimestampColumn(now)),
            events::salt.eq(salt),
            events::trace_parent.eq(trace.map(|span| span.to_string())),
            events::known_columns.eq(EVENT_COLUMNS),
            events::external_id.eq(external_id),
            events::status.eq(status),
            events::attributes.eq(attributes),
        ))
        .execute(sqlite)
        .map(drop)
}

/// Records the creation of consecutive users, all with the default profile: all users with one of these ids.
pub(crate) fn record_created(
    sqlite: &mut SqliteConnection,
    ids: RangeInclusive<i64>,
    Stamp { now, salt }: Stamp,
) -> QueryResult<()> {
    users::table
        .filter(users::id.between(*ids.start(), *ids.end()))
        .order(users::id)
        .select((
            EventKind::Created.code().into_sql::<SmallInt>(),
            users::id,
            users::version,
            users::name.nullable(),
            users::email.nullable(),
            users::created_at.nullable(),
            TimestampColumn(now).into_sql::<SqlTimestamp>(),
            salt.into_sql::<BigInt>(),
            EVENT_COLUMNS.into_sql::<SmallInt>().nullable(),
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
            events::known_columns,
        ))
        .execute(sqlite)
        .map(drop)
}

/// The same for users of whom some have a profile. Most have none, and do not pay for its columns.
pub(crate) fn record_profiled(
    sqlite: &mut SqliteConnection,
    ids: RangeInclusive<i64>,
    stamp: Stamp,
) -> QueryResult<()> {
    let these = users::table.filter(users::id.between(*ids.start(), *ids.end())).order(users::id);
    let created: Vec<UserRow> = these.select(UserRow::as_select()).load(sqlite)?;
    created.into_iter().try_for_each(|row| record_one(sqlite, EventKind::Created, &row.into(), None, stamp))
}

/// A deletion is a change too, so it has its own version.
fn version_of(kind: EventKind, user: &User) -> Version {
    if kind == EventKind::Deleted { Version(user.version.0 + 1) } else { user.version }
}
