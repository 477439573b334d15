//! On PostgreSQL a batch of writes is one statement: one round trip, one commit.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use diesel::QueryResult;
use diesel::pg::{Pg, PgConnection};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::Error as DieselError;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::batch_error::BatchError;
use super::create_users::{Created, create_many, insert_many};
use super::delete_users::{DELETE_FOUND, Delete};
use super::lane::Outcome;
use super::plan::{Plan, Planned, plan};
use super::record_events::{Occasion, RecordAll, RecordCreated};
use super::row::{MaybeUserColumns, UserRow};
use super::update_users::UPDATE_FOUND;
use super::wanted::Wanted;
use super::write::Write;
use crate::users::{User, Version};

/// Runs the writes of a batch that do not touch what an earlier one touches; the others have no outcome yet.
///
/// The statement is a transaction of its own accord: with BEGIN, a lock and COMMIT beside it, it would be four round trips.
/// It commits before it answers, so whatever panics may do so after the commit.
pub(super) fn write_together(
    postgres: &mut PgConnection,
    batch: &[&Write],
    occasion: Occasion,
) -> Result<Vec<Option<Outcome<Write>>>, BatchError> {
    let plan = plan(batch);
    let panicked = |_| Err(DieselError::DeserializationError("panicked".into()));
    let written = catch_unwind(AssertUnwindSafe(|| write_planned(postgres, &plan, batch.len(), occasion)));
    written.unwrap_or_else(panicked).map_err(BatchError::of_lone_statement)
}

fn write_planned(
    postgres: &mut PgConnection,
    plan: &Plan<'_>,
    places: usize,
    occasion: Occasion,
) -> QueryResult<Vec<Option<Outcome<Write>>>> {
    let creates = requests(&plan.creates);
    let (mut created, mut found) = if plan.updates.is_empty() && plan.deletes.is_empty() {
        (create_many(postgres, &creates, occasion)?, HashMap::new())
    } else {
        write_many(postgres, plan, occasion)?
    };
    let mut outcomes = vec![None; places];
    let mut answer = |at: usize, outcome| {
        if let Some(place) = outcomes.get_mut(at) {
            *place = Some(outcome);
        }
    };
    for (at, row) in &plan.creates {
        answer(*at, row.outcome(&mut created, occasion.now));
    }
    for (at, update) in &plan.updates {
        answer(*at, update.outcome(found.remove(&update.id.get())));
    }
    for (at, delete) in &plan.deletes {
        answer(*at, Delete::outcome(found.remove(&delete.id.get())));
    }
    Ok(outcomes)
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

type FoundById = HashMap<i64, Found>;

fn write_many(postgres: &mut PgConnection, plan: &Plan<'_>, occasion: Occasion) -> QueryResult<(Created, FoundById)> {
    let (updates, deletes) = (requests(&plan.updates), requests(&plan.deletes));
    let (creates, now) = (requests(&plan.creates), occasion.now);
    let statement = WriteMany {
        creates: insert_many(&creates, now),
        wanted: Wanted::new(&updates, &deletes, now),
        recorded: RecordAll(RecordCreated::new(&creates, occasion)),
    };
    let (mut created, mut found) = (Created::new(), FoundById::new());
    for (id, email_key, version, changed) in statement.load::<WrittenRow>(postgres)? {
        if let Some(email_key) = email_key {
            created.insert(email_key, id);
        }
        if let Some(version) = version {
            found.insert(id, Found { version: Version(version), changed: changed.map(User::from) });
        }
    }
    Ok((created, found))
}

/// An id; for a created user, the key of its address; for one that was found, its version before, and what became of it.
type WrittenRow = (i64, Option<String>, Option<i64>, Option<UserRow>);

/// SQL text, because Diesel has no `WITH`.
struct WriteMany<'a, C> {
    creates: C,
    wanted: Wanted<'a>,
    recorded: RecordAll<'a>,
}

impl<C: QueryFragment<Pg>> QueryFragment<Pg> for WriteMany<'_, C> {
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
        out.push_sql(
            ") SELECT id, email_key, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM created
            UNION ALL
            SELECT found.id, NULL, found.version, changed.* FROM found LEFT JOIN changed ON changed.id = found.id",
        );
        Ok(())
    }
}

impl<C> QueryId for WriteMany<'_, C> {
    type QueryId = WriteMany<'static, ()>;

    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<C> Query for WriteMany<'_, C> {
    type SqlType = (BigInt, Nullable<Text>, Nullable<BigInt>, MaybeUserColumns);
}

impl<C> RunQueryDsl<PgConnection> for WriteMany<'_, C> {}
