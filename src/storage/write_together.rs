//! On PostgreSQL a batch of writes is one statement: one round trip, one commit.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use diesel::QueryResult;
use diesel::pg::{Pg, PgConnection};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::Error as DieselError;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::batch_error::BatchError;
use super::create_users::{Created, create_many, insert_many};
use super::delete_users::{DELETE_FOUND, Delete};
use super::lane::Ran;
use super::lock_timeout::LockTimeout;
use super::locks::Locks;
use super::plan::{Plan, Planned, plan};
use super::record_events::{Occasion, RecordAll, RecordCreated};
use super::row::{MaybeUserColumns, UserRow};
use super::update_users::UPDATE_FOUND;
use super::wanted::Wanted;
use super::write::Write;
use crate::users::{Error, User, UserId, Version};

/// Runs the writes of a batch that do not touch what an earlier one touches; the others are deferred.
///
/// The statement is a transaction of its own accord: with BEGIN, a lock and COMMIT beside it, it would be four round trips.
/// It commits before it answers, so whatever panics may do so after the commit.
pub(super) fn write_together(
    postgres: &mut PgConnection,
    batch: &[&Write],
    occasion: Occasion,
    locks: Locks,
) -> Result<Vec<Ran<Write>>, BatchError> {
    let (plan, begun) = (plan(batch), Instant::now());
    let panicked = |_| Err(DieselError::DeserializationError("panicked".into()));
    let written = catch_unwind(AssertUnwindSafe(|| write_planned(postgres, &plan, batch.len(), occasion, locks)));
    written.unwrap_or_else(panicked).map_err(|error| BatchError::of_write(error, locks, begun.elapsed()))
}

fn write_planned(
    postgres: &mut PgConnection,
    plan: &Plan<'_>,
    places: usize,
    occasion: Occasion,
    locks: Locks,
) -> QueryResult<Vec<Ran<Write>>> {
    let creates = requests(&plan.creates);
    let mut written = if plan.updates.is_empty() && plan.deletes.is_empty() {
        Written { created: create_many(postgres, &creates, occasion, locks)?, ..Written::default() }
    } else {
        write_many(postgres, plan, occasion, locks)?
    };
    let mut all = Vec::from_iter(std::iter::repeat_with(|| Ran::Deferred).take(places));
    let mut answer = |at: usize, ran| {
        if let Some(place) = all.get_mut(at) {
            *place = ran;
        }
    };
    for (at, row) in &plan.creates {
        answer(*at, Ran::Executed(row.outcome(&mut written.created, occasion.now)));
    }
    for (at, update) in &plan.updates {
        answer(*at, written.change_of(update.id, |found| update.outcome(found)));
    }
    for (at, delete) in &plan.deletes {
        answer(*at, written.change_of(delete.id, Delete::outcome));
    }
    Ok(all)
}

/// What a statement has done.
#[derive(Default)]
struct Written {
    created: Created,
    found: HashMap<i64, Found>,
    /// Users that are there, as far as it could see, and that it could not lock.
    locked: HashSet<i64>,
}

impl Written {
    fn change_of(&mut self, id: UserId, outcome: impl FnOnce(Option<Found>) -> Result<User, Error>) -> Ran<Write> {
        let id = id.get();
        if self.locked.contains(&id) { Ran::Locked } else { Ran::Executed(outcome(self.found.remove(&id))) }
    }
}

fn requests<'a, T>(planned: &[Planned<'a, T>]) -> Vec<&'a T> {
    planned.iter().map(|(_, request)| *request).collect()
}

/// A user that a message is for, as the statement found it.
pub(super) struct Found {
    pub(super) version: Version,
    /// As the statement left it, or, if deleted, as it was; `None` when it was not changed.
    pub(super) changed: Option<User>,
}

fn write_many(postgres: &mut PgConnection, plan: &Plan<'_>, occasion: Occasion, locks: Locks) -> QueryResult<Written> {
    let (updates, deletes) = (requests(&plan.updates), requests(&plan.deletes));
    let (creates, now) = (requests(&plan.creates), occasion.now);
    let recorded = RecordAll(RecordCreated::new(&creates, occasion));
    let creates = insert_many(&creates, now);
    let wanted = Wanted::new(&updates, &deletes, now, locks.skips_users);
    let lock_timeout = LockTimeout::new(locks);
    let rows = if locks.skips_users {
        WriteMany::<_, true> { creates, wanted, recorded, lock_timeout }.load::<WrittenRow>(postgres)
    } else {
        WriteMany::<_, false> { creates, wanted, recorded, lock_timeout }.load::<WrittenRow>(postgres)
    };
    let mut written = Written::default();
    for (id, created, version, changed) in rows? {
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

/// SQL text, because Diesel has no `WITH`. Whether it skips locked users is a part of its type: each of the two texts is kept
/// prepared.
struct WriteMany<'a, C, const SKIPS: bool> {
    creates: C,
    wanted: Wanted<'a>,
    recorded: RecordAll<'a>,
    lock_timeout: LockTimeout,
}

impl<C: QueryFragment<Pg>, const SKIPS: bool> QueryFragment<Pg> for WriteMany<'_, C, SKIPS> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH created AS (");
        self.creates.walk_ast(out.reborrow())?;
        out.push_sql("), found AS (");
        self.wanted.walk_ast(out.reborrow())?;
        for part in ["), updated AS (", UPDATE_FOUND, "), deleted AS (", DELETE_FOUND] {
            out.push_sql(part);
        }
        out.push_sql("), changed AS (SELECT * FROM updated UNION ALL SELECT * FROM deleted), recorded AS (");
        self.recorded.walk_ast(out.reborrow())?;
        out.push_sql(") SELECT id, email, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM created WHERE ");
        self.lock_timeout.walk_ast(out.reborrow())?;
        out.push_sql(
            " UNION ALL
            SELECT found.id, NULL, found.version, changed.* FROM found LEFT JOIN changed ON changed.id = found.id
            UNION ALL ",
        );
        self.wanted.select_locked(out)
    }
}

impl<C, const SKIPS: bool> QueryId for WriteMany<'_, C, SKIPS> {
    type QueryId = WriteMany<'static, (), SKIPS>;

    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<C, const SKIPS: bool> Query for WriteMany<'_, C, SKIPS> {
    type SqlType = (BigInt, Nullable<Text>, Nullable<BigInt>, MaybeUserColumns);
}

impl<C, const SKIPS: bool> RunQueryDsl<PgConnection> for WriteMany<'_, C, SKIPS> {}
