//! Stores answers for repetitions (`storage::write::replays`), in the transaction that makes the changes.

use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Binary, Nullable, SmallInt, Text, Timestamp as SqlTimestamp};
use diesel::sqlite::{Sqlite, SqliteConnection};

use crate::domain::{Once, Position, User};
use crate::storage::database::schema::profile_columns::{ProfileTexts, columns};
use crate::storage::database::schema::tables::idempotency_keys;
use crate::storage::database::schema::timestamp_column::TimestampColumn;
use crate::storage::event_log::record::Stamp;
use crate::storage::write::request::Write;

/// Stores the answers to writes that carry an idempotency key.
pub(super) fn store_answers<'a>(
    sqlite: &mut SqliteConnection,
    written: impl Iterator<Item = (&'a Write, &'a User)>,
    stamp: Stamp,
    Position(position): Position,
) -> QueryResult<()> {
    let now = TimestampColumn(stamp.now);
    let mut created = Vec::new();
    for (write, user) in written {
        let Some(once) = write.once() else { continue };
        match write {
            Write::Create(_) => created.push((once, user.id.get(), user)),
            Write::Update(_) => store_one(sqlite, once, user, Some(user), now, position)?,
            Write::Delete(_) => store_one(sqlite, once, user, None, now, position)?,
        }
    }
    for rows in created.chunks(StoreCreated::MAX_ROWS) {
        let profiles = rows.iter().map(|(.., user)| columns(user.profile.as_deref())).collect();
        StoreCreated { rows, profiles, now, position }.execute(sqlite)?;
    }
    Ok(())
}

/// `user_left` is the user, unless it was deleted.
fn store_one(
    sqlite: &mut SqliteConnection,
    once: &Once,
    user: &User,
    user_left: Option<&User>,
    now: TimestampColumn,
    position: i64,
) -> QueryResult<()> {
    let (external_id, status, attributes) = columns(user_left.and_then(|user| user.profile.as_deref()));
    diesel::insert_into(idempotency_keys::table)
        .values((
            idempotency_keys::key.eq(once.id()),
            idempotency_keys::request.eq(once.fingerprint().as_slice()),
            idempotency_keys::stored_at.eq(now),
            idempotency_keys::position.eq(position),
            idempotency_keys::user_id.eq(user.id.get()),
            idempotency_keys::version.eq(user.version.0),
            idempotency_keys::name.eq(user_left.map(|user| user.name.as_str())),
            idempotency_keys::email.eq(user_left.map(|user| user.email.as_str())),
            idempotency_keys::created_at.eq(user_left.map(|user| TimestampColumn(user.created_at))),
            idempotency_keys::updated_at.eq(user_left.map(|user| TimestampColumn(user.updated_at))),
            idempotency_keys::external_id.eq(external_id),
            idempotency_keys::status.eq(status),
            idempotency_keys::attributes.eq(attributes),
        ))
        .execute(sqlite)
        .map(drop)
}

/// A create's key, the id of its user, and the user.
type Created<'a> = (&'a Once, i64, &'a User);

/// Stores the answers to creates. SQL text, because Diesel never keeps an INSERT of several rows prepared.
struct StoreCreated<'a> {
    rows: &'a [Created<'a>],
    profiles: Vec<ProfileTexts<'a>>,
    now: TimestampColumn,
    position: i64,
}

impl StoreCreated<'_> {
    /// As many as `InsertUsers` inserts.
    const MAX_ROWS: usize = 16;
}

impl QueryFragment<Sqlite> for StoreCreated<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql(
            "INSERT INTO idempotency_keys
                (key, request, stored_at, position, user_id, version, name, email, created_at, updated_at, external_id,
                status, attributes)
            SELECT new.column1, new.column2, batch.now, batch.position, new.column3, 1, new.column4, new.column5,
                batch.now, batch.now, new.column6, new.column7, new.column8
            FROM (SELECT ",
        );
        out.push_bind_param::<SqlTimestamp, _>(&self.now)?;
        out.push_sql(" AS now, ");
        out.push_bind_param::<BigInt, _>(&self.position)?;
        out.push_sql(" AS position) AS batch, (VALUES ");
        for (at, ((once, id, user), profile)) in self.rows.iter().zip(&self.profiles).enumerate() {
            out.push_sql(if at == 0 { "(" } else { ", (" });
            out.push_bind_param::<Binary, _>(once.id())?;
            out.push_sql(", ");
            out.push_bind_param::<Binary, _>(once.fingerprint().as_slice())?;
            out.push_sql(", ");
            out.push_bind_param::<BigInt, _>(id)?;
            out.push_sql(", ");
            out.push_bind_param::<Text, _>(user.name.as_str())?;
            out.push_sql(", ");
            out.push_bind_param::<Text, _>(user.email.as_str())?;
            let (external_id, status, attributes) = profile;
            out.push_sql(", ");
            out.push_bind_param::<Nullable<Text>, _>(external_id)?;
            out.push_sql(", ");
            out.push_bind_param::<Nullable<SmallInt>, _>(status)?;
            out.push_sql(", ");
            out.push_bind_param::<Nullable<Text>, _>(attributes)?;
            out.push_sql(")");
        }
        out.push_sql(") AS new");
        Ok(())
    }
}

impl QueryId for StoreCreated<'_> {
    type QueryId = ();

    /// Diesel keeps it prepared under its text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for StoreCreated<'_> {
    type SqlType = ();
}

impl RunQueryDsl<SqliteConnection> for StoreCreated<'_> {}
