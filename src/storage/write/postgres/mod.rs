//! Writes on PostgreSQL: the whole batch is one statement, and so one transaction. Only idempotency keys may need others
//! around it (`storage::write::once`).
//!
//! PostgreSQL costs a round trip per statement. Writes of all kinds share one statement: an update among many creates
//! costs the others nothing, even if the database is far away. Arrays go through `unnest`, so the text does not depend
//! on the number of rows and stays prepared. A batch of few changes is filled up to ten, or PostgreSQL would plan each
//! small batch anew.
//!
//! **Locks.** The statement first locks all users to be updated or deleted, in the order of their ids, and skips users
//! that another transaction has locked. The same statement looks again for users it did not find, so it can tell a
//! skipped user from a missing one. A skipped message is set aside (`storage::engine::set_aside`).
//!
//! **Addresses.** Only the end of the inserting transaction tells whether an address is free, and nothing can skip it.
//! The statement waits for it for 50 ms (`lock_timeout`, which the statement sets for itself) and fails;
//! `storage::engine` then finds the message it failed for.
//!
//! The statement is SQL text because Diesel has no `WITH`.

mod new_profiles;
mod parameters;
mod statement;
mod taken;
pub(super) mod unstorable;

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use diesel::QueryResult;
use diesel::connection::{AnsiTransactionManager, TransactionManager as _};
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::result::Error as DieselError;
use diesel::sql_types::{Bool, Text};

use super::request::plan::{Plan, plan};
use super::request::{Update, Write};
use crate::domain::{AsOf, Error, Position, User, UserId, Version, Written};
use crate::storage::database::connection::batch_error::BatchError;
use crate::storage::database::connection::locks::LockPolicy;
use crate::storage::database::schema::tables::users;
use crate::storage::database::schema::user_row::UserRow;
use crate::storage::engine::request::Execution;
use crate::storage::event_log::record::Stamp;
use new_profiles::Prepared;
use parameters::Parameters;
use statement::{CreateStatement, WriteStatement};
use taken::{is_open, name_what_is_taken};

/// Runs the writes of a batch that share no conflict key with an earlier one; the others are deferred.
///
/// The statement runs outside a transaction block: BEGIN, a separate lock and COMMIT would make it four round trips. It
/// commits before it responds, so a panic may come after the commit.
pub(super) fn write_batch(
    postgres: &mut PgConnection,
    batch: &[&Write],
    locks: LockPolicy,
) -> Result<Vec<Execution<Write>>, BatchError> {
    let (mut plan, begun) = (plan(batch), Instant::now());
    let mut executions = if plan.changes_profiles() && !locks.skips_users {
        write_after_waiting(postgres, plan, batch.len(), locks)?
    } else {
        let prepared = Prepared::new(postgres, &mut plan);
        let prepared = prepared.map_err(|error| BatchError::before_commit(error, locks, begun.elapsed()))?;
        let panicked = |_| Err(DieselError::DeserializationError("panicked".into()));
        let written = catch_unwind(AssertUnwindSafe(|| write_planned(postgres, &plan, prepared, batch.len(), locks)));
        let written = written.unwrap_or_else(panicked);
        written.map_err(|error| BatchError::from_write(error, locks, begun.elapsed()))?
    };
    // The batch is committed. So neither a failure nor a panic may let it be tried again.
    let named = catch_unwind(AssertUnwindSafe(|| name_what_is_taken(postgres, batch, &mut executions, false)));
    if !matches!(named, Ok(Ok(()))) {
        for (write, execution) in batch.iter().zip(&mut executions) {
            if is_open(write, execution) {
                *execution = Execution::Executed(Err(Error::Unavailable));
            }
        }
    }
    Ok(executions)
}

/// Runs a batch that changes profiles and waits for its users. They are locked before their profiles are read: a lock that
/// was waited for has changed its user.
fn write_after_waiting(
    postgres: &mut PgConnection,
    mut plan: Plan<'_>,
    messages: usize,
    locks: LockPolicy,
) -> Result<Vec<Execution<Write>>, BatchError> {
    let begun = Instant::now();
    AnsiTransactionManager::begin_transaction(postgres)?;
    let ids = plan.updates.iter().map(|(_, update)| update.id).chain(plan.deletes.iter().map(|(_, delete)| delete.id));
    let ids = Vec::from_iter(ids.map(UserId::get));
    let written = lock(postgres, &ids, locks).and_then(|_| {
        let prepared = Prepared::new(postgres, &mut plan)?;
        write_planned(postgres, &plan, prepared, messages, locks)
    });
    match written {
        Ok(executions) => {
            AnsiTransactionManager::commit_transaction(postgres).map_err(BatchError::from_autocommit)?;
            Ok(executions)
        }
        Err(error) => {
            // Whatever becomes of this, nothing is committed.
            let _ = AnsiTransactionManager::rollback_transaction(postgres);
            Err(BatchError::before_commit(error, locks, begun.elapsed()))
        }
    }
}

/// The outcome of each write, and the offset of the last event.
pub(super) type Outcomes = (Vec<Result<User, Error>>, Position);

/// Runs writes in the transaction that was begun, and commits it only if none was refused. No two of them may share a conflict key.
/// `None` if another transaction holds one of the users: then nothing is changed.
///
/// Those of one kind are one statement. Kinds have separate ones, in the order of the first writes: a statement does not
/// see the address that it frees.
pub(super) fn write_all_or_none(
    postgres: &mut PgConnection,
    writes: &[&Write],
    locks: LockPolicy,
) -> Result<Option<Outcomes>, BatchError> {
    let begun = Instant::now();
    let executed = write_kinds(postgres, writes, locks);
    let executed = executed.map_err(|error| BatchError::before_commit(error, locks, begun.elapsed()))?;
    let is_complete = executed.as_ref().is_some_and(|(outcomes, _)| outcomes.iter().all(Result::is_ok));
    if is_complete {
        AnsiTransactionManager::commit_transaction(postgres).map_err(BatchError::from_autocommit)?;
    } else {
        AnsiTransactionManager::rollback_transaction(postgres)?;
    }
    Ok(executed)
}

fn write_kinds(postgres: &mut PgConnection, writes: &[&Write], locks: LockPolicy) -> QueryResult<Option<Outcomes>> {
    if !lock_users(postgres, writes, locks)? {
        return Ok(None);
    }
    let (mut outcomes, mut end) = (Vec::with_capacity(writes.len()), Position::default());
    for kind in writes.chunk_by(|one, next| one.change() == next.change()) {
        let Some((written, last)) = write_in_rounds(postgres, kind, locks)? else { return Ok(None) };
        outcomes.extend(written);
        end = end.max(last);
    }
    Ok(Some((outcomes, end)))
}

/// Runs writes within a transaction that was begun, in as many statements as it takes: a statement takes none that shares
/// a conflict key with an earlier one. `None` if another transaction holds one of the users.
pub(super) fn write_in_rounds(
    postgres: &mut PgConnection,
    writes: &[&Write],
    locks: LockPolicy,
) -> QueryResult<Option<Outcomes>> {
    let mut outcomes = Vec::from_iter(writes.iter().map(|_| None));
    let (mut open, mut end) = (Vec::from_iter(writes.iter().copied().enumerate()), Position::default());
    while !open.is_empty() {
        let round = Vec::from_iter(open.iter().map(|(_, write)| *write));
        let mut plan = plan(&round);
        let prepared = Prepared::new(postgres, &mut plan)?;
        let mut executions = write_planned(postgres, &plan, prepared, round.len(), locks)?;
        name_what_is_taken(postgres, &round, &mut executions, true)?;
        let mut later = Vec::new();
        for ((at, write), execution) in open.into_iter().zip(executions) {
            match execution {
                Execution::Locked => return Ok(None),
                Execution::Deferred => later.push((at, write)),
                Execution::Executed(outcome) => {
                    let outcome = outcome.and_then(|written| {
                        end = end.max(written.answer.position);
                        written.answer.value.ok_or(Error::Internal)
                    });
                    outcomes.get_mut(at).into_iter().for_each(|slot| *slot = Some(outcome.clone()));
                }
            }
        }
        open = later;
    }
    Ok(Some((outcomes.into_iter().map(|outcome| outcome.unwrap_or(Err(Error::Internal))).collect(), end)))
}

/// Locks the users of all kinds in the order of their ids, if there are several kinds. Returns false if one is locked.
fn lock_users(postgres: &mut PgConnection, writes: &[&Write], locks: LockPolicy) -> QueryResult<bool> {
    let kind = |write: &&Write| write.user().and(Some(write.change()));
    let mut kinds = Vec::from_iter(writes.iter().filter_map(kind));
    kinds.dedup();
    if kinds.len() < 2 {
        // The statement itself locks them in this order.
        return Ok(true);
    }
    let ids = Vec::from_iter(writes.iter().filter_map(|write| write.user()).map(UserId::get));
    let found: i64 = users::table.filter(users::id.eq_any(&ids)).count().get_result(postgres)?;
    let locked = lock(postgres, &ids, locks)?;
    // One that was deleted in between counts as locked: the next attempt does not find it.
    Ok(i64::try_from(locked.len()).is_ok_and(|locked| locked >= found))
}

/// Locks users in the order of their ids, and returns the ids of those that it has locked.
fn lock(postgres: &mut PgConnection, ids: &[i64], locks: LockPolicy) -> QueryResult<Vec<i64>> {
    let timeout = format!("{}ms", locks.timeout.as_millis());
    diesel::select(set_config("lock_timeout", timeout, true)).execute(postgres)?;
    let locked = users::table.filter(users::id.eq_any(ids)).order(users::id).select(users::id).for_update();
    if locks.skips_users { locked.skip_locked().load(postgres) } else { locked.load(postgres) }
}

#[diesel::declare_sql_function]
#[backends(diesel::pg::Pg)]
extern "SQL" {
    /// Changes a setting, if `is_local` until the transaction ends.
    fn set_config(name: Text, value: Text, is_local: Bool) -> Text;
}

/// Executes the writes of a plan in one statement.
fn write_planned(
    postgres: &mut PgConnection,
    plan: &Plan<'_>,
    Prepared { profiles, refused }: Prepared,
    messages: usize,
    locks: LockPolicy,
) -> QueryResult<Vec<Execution<Write>>> {
    let stamp = Stamp::now();
    let mut written = if plan.is_empty() {
        StatementOutcome::default()
    } else {
        execute(postgres, &Parameters::new(plan, &profiles, stamp, locks), plan, locks)?
    };
    let end = written.end;
    let mut all = Vec::from_iter(std::iter::repeat_with(|| Execution::Deferred).take(messages));
    let mut answer = |at: usize, ran| {
        if let Some(slot) = all.get_mut(at) {
            *slot = ran;
        }
    };
    for (at, create) in &plan.creates {
        let created = written.created.remove(create.email()).map(|id| create.stored_as(id, stamp.now));
        answer(*at, executed(created.ok_or(Error::EmailTaken), end));
    }
    for (at, update) in &plan.updates {
        let base = profiles.of(update.id).map(|new| new.base);
        answer(*at, written.change_of(update.id, base, |found| outcome_of_update(update, found)));
    }
    for (at, delete) in &plan.deletes {
        answer(*at, written.change_of(delete.id, None, outcome_of_delete));
    }
    for (at, error) in refused {
        answer(at, Execution::Executed(Err(error)));
    }
    Ok(all)
}

fn executed(outcome: Result<User, Error>, end: Position) -> Execution<Write> {
    let written = |user| Written { answer: AsOf::latest(Some(user), end), is_replay: false };
    Execution::Executed(outcome.map(written))
}

fn execute(
    postgres: &mut PgConnection,
    parameters: &Parameters<'_>,
    plan: &Plan<'_>,
    locks: LockPolicy,
) -> QueryResult<StatementOutcome> {
    if plan.updates.is_empty() && plan.deletes.is_empty() {
        let created: Vec<(String, i64, Option<i64>)> = match (plan.has_keys(), plan.has_profiles()) {
            (true, true) => CreateStatement::<true, true>(parameters).load(postgres),
            (true, false) => CreateStatement::<true, false>(parameters).load(postgres),
            (false, true) => CreateStatement::<false, true>(parameters).load(postgres),
            (false, false) => CreateStatement::<false, false>(parameters).load(postgres),
        }?;
        let mut written = StatementOutcome::default();
        for (email, id, end) in created {
            written.reaches(end);
            written.created.insert(email, id);
        }
        return Ok(written);
    }
    let rows: Vec<WrittenRow> = match (locks.skips_users, plan.has_keys(), plan.has_profiles()) {
        (true, true, true) => WriteStatement::<true, true, true>(parameters).load(postgres),
        (true, true, false) => WriteStatement::<true, true, false>(parameters).load(postgres),
        (true, false, true) => WriteStatement::<true, false, true>(parameters).load(postgres),
        (true, false, false) => WriteStatement::<true, false, false>(parameters).load(postgres),
        (false, true, true) => WriteStatement::<false, true, true>(parameters).load(postgres),
        (false, true, false) => WriteStatement::<false, true, false>(parameters).load(postgres),
        (false, false, true) => WriteStatement::<false, false, true>(parameters).load(postgres),
        (false, false, false) => WriteStatement::<false, false, false>(parameters).load(postgres),
    }?;
    let mut written = StatementOutcome::default();
    for (id, created, end, version, changed) in rows {
        written.reaches(end);
        if let Some(email) = created {
            written.created.insert(email, id);
        } else if let Some(version) = version {
            written.found.insert(id, FoundUser { version: Version(version), changed: changed.map(User::from) });
        } else {
            written.locked.insert(id);
        }
    }
    Ok(written)
}

/// An id, and for a created user its address; for a found user its version before the write, and the changed user. Both
/// have the offset of the last event. A locked user has nothing else.
type WrittenRow = (i64, Option<String>, Option<i64>, Option<i64>, Option<UserRow>);

/// What a statement has done.
#[derive(Default)]
struct StatementOutcome {
    /// The ids of created users, by their addresses as given. Not by a key: two addresses may share one key while the
    /// other key of one is taken.
    created: HashMap<String, i64>,
    found: HashMap<i64, FoundUser>,
    /// Users that exist in the statement's snapshot and that it could not lock.
    locked: HashSet<i64>,
    /// The offset of the last event.
    end: Position,
}

impl StatementOutcome {
    fn reaches(&mut self, end: Option<i64>) {
        self.end = self.end.max(Position(end.unwrap_or_default()));
    }

    /// `base` is the version from which the user's new profile was made, if it changes.
    fn change_of(
        &mut self,
        id: UserId,
        base: Option<Version>,
        outcome: impl FnOnce(Option<FoundUser>) -> Result<User, Error>,
    ) -> Execution<Write> {
        let id = id.get();
        let found = self.found.remove(&id);
        let has_moved = |found: &FoundUser| found.changed.is_none() && base.is_some_and(|base| base != found.version);
        // A user that has changed meanwhile was as good as locked.
        if self.locked.contains(&id) || found.as_ref().is_some_and(has_moved) {
            return Execution::Locked;
        }
        executed(outcome(found), self.end)
    }
}

/// A user that a message wants to change.
struct FoundUser {
    version: Version,
    /// The user after the statement, or before it if deleted. `None` if it was not changed.
    changed: Option<User>,
}

fn outcome_of_update(update: &Update, found: Option<FoundUser>) -> Result<User, Error> {
    match found {
        None => Err(Error::NotFound),
        Some(FoundUser { changed: Some(user), .. }) => Ok(user),
        Some(FoundUser { version, .. }) if update.expected.is_some_and(|expected| expected != version) => {
            Err(Error::VersionMismatch)
        }
        // The user exists and the version matches, so the address is taken, or the external id (`taken`).
        Some(_) => Err(Error::EmailTaken),
    }
}

fn outcome_of_delete(found: Option<FoundUser>) -> Result<User, Error> {
    found.ok_or(Error::NotFound)?.changed.ok_or(Error::VersionMismatch)
}
