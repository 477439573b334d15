//! A batch of writes on PostgreSQL: one statement, so one round trip and one commit.
//!
//! Diesel has no `WITH`, no `UPDATE ... FROM` and no `DELETE ... USING`, so the statements are SQL text. `:name` in them stands
//! for a parameter, see [`values`]. The values travel as one array a column: a statement stays the same for every number
//! of rows, and so stays prepared.

mod values;

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use diesel::QueryResult;
use diesel::pg::{Pg, PgConnection};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::Error as DieselError;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::plan::{Plan, plan};
use super::{Update, Write};
use crate::domain::{Error, User, UserId, Version};
use crate::storage::database::batch_error::BatchError;
use crate::storage::database::locks::Locks;
use crate::storage::database::row::{MaybeUserColumns, UserRow};
use crate::storage::engine::lane::Ran;
use crate::storage::event_log::record::Stamp;
use values::Values;

/// Creates users and records that; each address may be among them once only.
///
/// Its condition is always true, and sets how long the statement waits for each lock: see [`WRITE`].
const CREATE: &str = "
WITH created AS (
    INSERT INTO users (name, name_key, email, email_key, address_key, has_keys, version, created_at, updated_at)
    SELECT unnest(:new_names), unnest(:new_name_keys), unnest(:new_emails), unnest(:new_email_keys),
        unnest(:new_address_keys), true, 1, :now, :now
    ON CONFLICT DO NOTHING
    RETURNING email_key, id, name, email
), recorded AS (
    INSERT INTO events (kind, user_id, version, name, email, created_at, occurred_at, salt, trace_parent)
    SELECT 1, created.id, 1, created.name, created.email, :now, :now, :salt, traced.trace_parent
    FROM created
    LEFT JOIN unnest(:traced_email_keys, :traced_parents) AS traced (email_key, trace_parent)
        ON traced.email_key = created.email_key
)
SELECT email, id FROM created WHERE (SELECT set_config('lock_timeout', :lock_timeout, true)) IS NOT NULL";

/// Creates, updates and deletes users, and records that.
///
/// - `found` locks the users to be changed, and has the version of each beside what is wanted of it. It locks in the order of
///   their ids, so that two replicas which change the same users do not wait for each other in a circle. If a user is locked, it
///   either leaves it out (`:skip_locked`) or waits. After a wait it has what the lock's holder left, which the statement's own
///   snapshot does not show.
/// - `updated` leaves out an address that another user has; it does not find it by failing. If another replica takes the address
///   in the same moment, the unique index fails the batch, and its messages are tried again one by one.
/// - The first SELECT sets how long the statement waits for each lock. PostgreSQL evaluates that condition once, and before
///   all else: it runs the changes of the `WITH` when the result asks for them. So it costs no round trip, and ends with the
///   statement. The locks of whole tables are taken before that; the connection's own timeout bounds them.
/// - The last SELECT tells which users are there and were not `found`: somebody has locked them, or has deleted them since the
///   statement began. Which it is shows when they are tried again. If all were found it looks nobody up.
const WRITE: &str = "
WITH created AS (
    INSERT INTO users (name, name_key, email, email_key, address_key, has_keys, version, created_at, updated_at)
    SELECT unnest(:new_names), unnest(:new_name_keys), unnest(:new_emails), unnest(:new_email_keys),
        unnest(:new_address_keys), true, 1, :now, :now
    ON CONFLICT DO NOTHING
    RETURNING email_key, id, name, email
), found AS (
    SELECT users.id, users.version, wanted.expected, wanted.is_delete, wanted.name, wanted.name_key, wanted.email,
        wanted.email_key, wanted.address_key, wanted.trace_parent, :now AS now
    FROM users
    JOIN unnest(:ids, :expected, :are_deletes, :names, :name_keys, :emails, :email_keys, :address_keys, :trace_parents)
        AS wanted (id, expected, is_delete, name, name_key, email, email_key, address_key, trace_parent)
        ON wanted.id = users.id
    ORDER BY users.id
    FOR UPDATE OF users :skip_locked
), updated AS (
    UPDATE users SET
        name = coalesce(found.name, users.name),
        name_key = coalesce(found.name_key, users.name_key),
        email = coalesce(found.email, users.email),
        email_key = coalesce(found.email_key, users.email_key),
        address_key = CASE WHEN found.email_key IS NULL THEN users.address_key ELSE found.address_key END,
        duplicate_of = CASE WHEN found.email_key IS NULL THEN users.duplicate_of END,
        key_revision = users.key_revision + 1,
        version = users.version + 1,
        updated_at = found.now
    FROM found
    WHERE users.id = found.id AND NOT found.is_delete AND (found.expected IS NULL OR found.expected = found.version)
        AND (found.email_key IS NULL OR NOT EXISTS (
            SELECT FROM users AS other WHERE other.email_key = found.email_key AND other.id <> found.id))
        AND (found.address_key IS NULL OR NOT EXISTS (
            SELECT FROM users AS other WHERE other.address_key = found.address_key AND other.id <> found.id))
    RETURNING users.id, users.name, users.email, users.version, users.created_at, users.updated_at
), deleted AS (
    DELETE FROM users USING found
    WHERE users.id = found.id AND found.is_delete AND (found.expected IS NULL OR found.expected = found.version)
    RETURNING users.id, users.name, users.email, users.version, users.created_at, users.updated_at
), changed AS (
    SELECT * FROM updated UNION ALL SELECT * FROM deleted
), recorded AS (
    INSERT INTO events (kind, user_id, version, name, email, created_at, occurred_at, salt, trace_parent)
    SELECT 1, created.id, 1, created.name, created.email, :now, :now, :salt, traced.trace_parent
    FROM created
    LEFT JOIN unnest(:traced_email_keys, :traced_parents) AS traced (email_key, trace_parent)
        ON traced.email_key = created.email_key
    UNION ALL
    SELECT CASE WHEN found.is_delete THEN 3 ELSE 2 END, changed.id,
        changed.version + CASE WHEN found.is_delete THEN 1 ELSE 0 END,
        CASE WHEN NOT found.is_delete THEN changed.name END, CASE WHEN NOT found.is_delete THEN changed.email END,
        CASE WHEN NOT found.is_delete THEN changed.created_at END, found.now, :salt, found.trace_parent
    FROM changed
    JOIN found ON found.id = changed.id
)
SELECT id, email, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM created WHERE (SELECT set_config('lock_timeout', :lock_timeout, true)) IS NOT NULL
UNION ALL
SELECT found.id, NULL, found.version, changed.* FROM found LEFT JOIN changed ON changed.id = found.id
UNION ALL
SELECT locked.id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM unnest(:ids) AS locked (id)
WHERE locked.id NOT IN (SELECT found.id FROM found) AND EXISTS (SELECT FROM users WHERE users.id = locked.id)";

/// Runs the writes of a batch that do not touch what an earlier one touches; the others are deferred.
///
/// The statement is a transaction of its own accord: with BEGIN, a lock and COMMIT beside it, it would be four round trips.
/// It commits before it answers, so whatever panics may do so after the commit.
pub(super) fn write_batch(
    postgres: &mut PgConnection,
    batch: &[&Write],
    locks: Locks,
) -> Result<Vec<Ran<Write>>, BatchError> {
    let (plan, begun) = (plan(batch), Instant::now());
    let panicked = |_| Err(DieselError::DeserializationError("panicked".into()));
    let written = catch_unwind(AssertUnwindSafe(|| write_planned(postgres, &plan, batch.len(), locks)));
    written.unwrap_or_else(panicked).map_err(|error| BatchError::of_write(error, locks, begun.elapsed()))
}

fn write_planned(
    postgres: &mut PgConnection,
    plan: &Plan<'_>,
    messages: usize,
    locks: Locks,
) -> QueryResult<Vec<Ran<Write>>> {
    let stamp = Stamp::now();
    let mut written = execute(postgres, &Values::new(plan, stamp, locks), plan, locks)?;
    let mut all = Vec::from_iter(std::iter::repeat_with(|| Ran::Deferred).take(messages));
    let mut answer = |at: usize, ran| {
        if let Some(slot) = all.get_mut(at) {
            *slot = ran;
        }
    };
    for (at, create) in &plan.creates {
        let created = written.created.remove(create.email()).map(|id| create.stored_as(id, stamp.now));
        answer(*at, Ran::Executed(created.ok_or(Error::EmailTaken)));
    }
    for (at, update) in &plan.updates {
        answer(*at, written.change_of(update.id, |found| outcome_of_update(update, found)));
    }
    for (at, delete) in &plan.deletes {
        answer(*at, written.change_of(delete.id, outcome_of_delete));
    }
    Ok(all)
}

fn execute(postgres: &mut PgConnection, values: &Values<'_>, plan: &Plan<'_>, locks: Locks) -> QueryResult<Written> {
    if plan.updates.is_empty() && plan.deletes.is_empty() {
        let created: Vec<(String, i64)> = CreateStatement(values).load(postgres)?;
        return Ok(Written { created: created.into_iter().collect(), ..Written::default() });
    }
    let rows: Vec<WrittenRow> = if locks.skips_users {
        WriteStatement::<true>(values).load(postgres)
    } else {
        WriteStatement::<false>(values).load(postgres)
    }?;
    let mut written = Written::default();
    for (id, created, version, changed) in rows {
        if let Some(email) = created {
            written.created.insert(email, id);
        } else if let Some(version) = version {
            written.found.insert(id, Found { version: Version(version), changed: changed.map(User::from) });
        } else {
            written.locked.insert(id);
        }
    }
    Ok(written)
}

/// An id; for a created user, its address; for one that was found, its version before, and what became of it; for
/// one that is locked, nothing.
type WrittenRow = (i64, Option<String>, Option<i64>, Option<UserRow>);

/// What a statement has done.
#[derive(Default)]
struct Written {
    /// The ids of created users, by their addresses as given. Not by a key: of two that share one key, the other may be taken.
    created: HashMap<String, i64>,
    found: HashMap<i64, Found>,
    /// Users that are there, as far as the statement could see, and that it could not lock.
    locked: HashSet<i64>,
}

impl Written {
    fn change_of(&mut self, id: UserId, outcome: impl FnOnce(Option<Found>) -> Result<User, Error>) -> Ran<Write> {
        let id = id.get();
        if self.locked.contains(&id) { Ran::Locked } else { Ran::Executed(outcome(self.found.remove(&id))) }
    }
}

/// A user that a message is for, as the statement found it.
struct Found {
    version: Version,
    /// As the statement left it, or, if deleted, as it was; `None` when it was not changed.
    changed: Option<User>,
}

fn outcome_of_update(update: &Update, found: Option<Found>) -> Result<User, Error> {
    match found {
        None => Err(Error::NotFound),
        Some(Found { changed: Some(user), .. }) => Ok(user),
        Some(Found { version, .. }) if update.expected.is_some_and(|expected| expected != version) => {
            Err(Error::VersionMismatch)
        }
        // The user is there and the version is right: only the address stands in the way.
        Some(_) => Err(Error::EmailTaken),
    }
}

fn outcome_of_delete(found: Option<Found>) -> Result<User, Error> {
    found.ok_or(Error::NotFound)?.changed.ok_or(Error::VersionMismatch)
}

/// Pushes a text, and in place of each `:name` what `bind` makes of it.
fn push<'b>(
    text: &'static str,
    out: &mut AstPass<'_, 'b, Pg>,
    mut bind: impl FnMut(&str, &mut AstPass<'_, 'b, Pg>) -> QueryResult<()>,
) -> QueryResult<()> {
    let mut parts = text.split(':');
    out.push_sql(parts.next().unwrap_or_default());
    for part in parts {
        let end = part.find(|char: char| !char.is_ascii_lowercase() && char != '_').unwrap_or(part.len());
        let (name, rest) = part.split_at(end);
        bind(name, out)?;
        out.push_sql(rest);
    }
    Ok(())
}

struct CreateStatement<'a>(&'a Values<'a>);

impl QueryFragment<Pg> for CreateStatement<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        push(CREATE, &mut out, |name, out| self.0.bind(name, out))
    }
}

impl QueryId for CreateStatement<'_> {
    type QueryId = CreateStatement<'static>;

    const HAS_STATIC_QUERY_ID: bool = true;
}

impl Query for CreateStatement<'_> {
    type SqlType = (Text, BigInt);
}

impl RunQueryDsl<PgConnection> for CreateStatement<'_> {}

/// Whether it skips locked users is a part of its type: each of the two texts is kept prepared.
struct WriteStatement<'a, const SKIPS: bool>(&'a Values<'a>);

impl<const SKIPS: bool> QueryFragment<Pg> for WriteStatement<'_, SKIPS> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        push(WRITE, &mut out, |name, out| match name {
            "skip_locked" => {
                out.push_sql(if SKIPS { "SKIP LOCKED" } else { "" });
                Ok(())
            }
            name => self.0.bind(name, out),
        })
    }
}

impl<const SKIPS: bool> QueryId for WriteStatement<'_, SKIPS> {
    type QueryId = WriteStatement<'static, SKIPS>;

    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<const SKIPS: bool> Query for WriteStatement<'_, SKIPS> {
    type SqlType = (BigInt, Nullable<Text>, Nullable<BigInt>, MaybeUserColumns);
}

impl<const SKIPS: bool> RunQueryDsl<PgConnection> for WriteStatement<'_, SKIPS> {}
