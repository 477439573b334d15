//! How many users there are, without counting them.
//!
//! On SQLite the user cache knows it (`user_cache::sqlite`): a commit of this process changes the number in memory, and after one
//! of another process they are counted.
//!
//! On PostgreSQL the table `user_counts` has the number as of a place up to which the log of events is final, and the events
//! beyond say how it has changed: each user that was created or deleted has one. The keeper moves the place on
//! (`keeper::count_watch`), once somebody has asked for the number, so writes cost nothing more. A change without an event leaves a
//! mark in the log; then the keeper counts anew, and until then lists count the users one by one.
//!
//! One statement sees the number, the place and the events of one moment. So the number is exact.
//!
//! The statements are SQL text, because Diesel has neither `CASE` over sums nor `INSERT ... SELECT` of scalars.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use diesel::Connection as _;
use diesel::connection::SimpleConnection as _;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable};

use crate::storage::database::connection::Connection;

/// Beyond so many events the number is not read, but counted.
const MAX_EVENTS: i64 = 10_000;

/// Whether somebody has asked for the number. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Wanted(Arc<AtomicBool>);

impl Wanted {
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The events beyond the stored count.
pub(crate) enum Beyond {
    /// So many, up to a limit.
    Events(i64),
    /// There is no count, or one that does not hold any more.
    Unknown,
}

#[derive(QueryableByName)]
struct Later {
    /// How many events there are beyond the count, up to a limit.
    #[diesel(sql_type = BigInt)]
    events: i64,
    /// The number of users; `NULL` if it does not hold.
    #[diesel(sql_type = Nullable<BigInt>)]
    total: Option<i64>,
}

/// Reads the number of users. `None` if it has to be counted.
pub(crate) fn read(connection: &mut Connection) -> QueryResult<Option<i64>> {
    match connection {
        Connection::Sqlite(..) => Ok(None),
        Connection::Postgres(postgres, _) => {
            let later = later(postgres, MAX_EVENTS + 1)?;
            Ok(later.total.filter(|_| later.events <= MAX_EVENTS))
        }
    }
}

/// Reads how far the log goes beyond the stored count. Counts up to `limit` events.
pub(crate) fn beyond(postgres: &mut PgConnection, limit: i64) -> QueryResult<Beyond> {
    let later = later(postgres, limit)?;
    Ok(if later.total.is_some() { Beyond::Events(later.events) } else { Beyond::Unknown })
}

/// An event without a user is the mark of a change without an event. One of an unknown kind is of a later release.
fn later(postgres: &mut PgConnection, limit: i64) -> QueryResult<Later> {
    diesel::sql_query(
        "WITH counted AS (
            SELECT total, position FROM user_counts WHERE position >= (SELECT max(pruned_to) FROM event_log)
        ), later AS (
            SELECT kind, user_id FROM events WHERE id > (SELECT position FROM counted) ORDER BY id LIMIT $1
        )
        SELECT count(*) AS events,
            CASE WHEN coalesce(bool_and(user_id <> 0 AND kind IN (1, 2, 3)), true)
                THEN (SELECT total FROM counted) + coalesce(sum(CASE kind WHEN 1 THEN 1 WHEN 3 THEN -1 ELSE 0 END), 0)::bigint
            END AS total
        FROM later",
    )
    .bind::<BigInt, _>(limit)
    .get_result(postgres)
}

/// Moves the count on, up to a place up to which the log is final. Does nothing if another replica has moved it on, or
/// if there is a mark in between.
pub(crate) fn advance(postgres: &mut PgConnection, to: i64) -> QueryResult<()> {
    diesel::sql_query(
        "UPDATE user_counts SET position = $1, total = counted.total + later.change
        FROM (SELECT total, position FROM user_counts) AS counted, LATERAL (
            SELECT coalesce(sum(CASE kind WHEN 1 THEN 1 WHEN 3 THEN -1 ELSE 0 END), 0)::bigint AS change,
                coalesce(bool_and(user_id <> 0 AND kind IN (1, 2, 3)), true) AS is_whole
            FROM events WHERE id > counted.position AND id <= $1
        ) AS later
        WHERE user_counts.position = counted.position AND user_counts.position < $1 AND later.is_whole
            AND user_counts.position >= (SELECT max(pruned_to) FROM event_log)",
    )
    .bind::<BigInt, _>(to)
    .execute(postgres)
    .map(drop)
}

/// Counts all users, and stores how many there were at a place up to which the log is final. Stores nothing if there is a mark
/// beyond it. Fails after a second, because the keeper has other things to do: then there are too many users.
pub(crate) fn count_anew(postgres: &mut PgConnection, at: i64) -> QueryResult<()> {
    postgres.transaction(|postgres| {
        postgres.batch_execute("SET LOCAL statement_timeout = '1s'")?;
        store_count(postgres, at)
    })
}

fn store_count(postgres: &mut PgConnection, at: i64) -> QueryResult<()> {
    diesel::sql_query(
        "INSERT INTO user_counts (id, total, position)
        SELECT 1, (SELECT count(*) FROM users) - later.change, $1
        FROM (
            SELECT coalesce(sum(CASE kind WHEN 1 THEN 1 WHEN 3 THEN -1 ELSE 0 END), 0)::bigint AS change,
                coalesce(bool_and(user_id <> 0 AND kind IN (1, 2, 3)), true) AS is_whole
            FROM events WHERE id > $1
        ) AS later
        WHERE later.is_whole
        ON CONFLICT (id) DO UPDATE SET total = excluded.total, position = excluded.position",
    )
    .bind::<BigInt, _>(at)
    .execute(postgres)
    .map(drop)
}
