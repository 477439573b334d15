//! Executes a batch of which some writes carry idempotency keys: those that were executed before get the same answer
//! again.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use diesel::QueryResult;
use diesel::result::{DatabaseErrorKind as Kind, Error as DieselError};

use super::execute::{Executions, execute};
use super::replays::Replays;
use super::request::Write;
use crate::domain::{Error, Once, Written};
use crate::storage::database::connection::Connection;
use crate::storage::database::connection::batch_error::BatchError;
use crate::storage::database::connection::locks::LockPolicy;
use crate::storage::engine::request::{Execution, Outcome};
use crate::telemetry::Throttle;

pub(super) fn execute_once(connection: &mut Connection, batch: &[&Write], locks: LockPolicy) -> Executions {
    let replays = if looks_first(connection, batch) { find(connection, batch)? } else { Replays::default() };
    let began = Instant::now();
    match execute_beside(&replays, connection, batch, locks) {
        // One of the keys is stored, perhaps since they were looked for. Now it is found. On SQLite the transaction would
        // go on with what the first attempt has done; there a stored key is always found first. After a long wait the
        // callers may have given up: then the engine tries again, and drops their messages.
        Err(BatchError::NotExecuted(DieselError::DatabaseError(Kind::UniqueViolation, _)))
            if matches!(connection, Connection::Postgres(..)) && began.elapsed() < SOON =>
        {
            let replays = find(connection, batch)?;
            execute_beside(&replays, connection, batch, locks)
        }
        executions => executions,
    }
}

/// A panic logs itself.
static FAILURES: LazyLock<Throttle> = LazyLock::new(Throttle::default);

/// Within this time nobody has given up.
const SOON: Duration = Duration::from_millis(200);

/// Whether stored answers are looked for before anything is executed, which costs a round trip on PostgreSQL. Creates do
/// without: one that was executed before finds its address taken, or if that is free again, its key.
fn looks_first(connection: &Connection, batch: &[&Write]) -> bool {
    let may_be_executed_again = |write: &&Write| write.once().is_some() && write.create().is_none();
    matches!(connection, Connection::Sqlite(..)) || batch.iter().any(may_be_executed_again)
}

fn find(connection: &mut Connection, batch: &[&Write]) -> QueryResult<Replays> {
    Replays::find(connection, batch.iter().copied())
}

/// Executes the writes that were not executed before.
fn execute_beside(replays: &Replays, connection: &mut Connection, batch: &[&Write], locks: LockPolicy) -> Executions {
    let mut first = HashMap::new();
    let steps = Vec::from_iter(batch.iter().enumerate().map(|(at, write)| {
        let Some(once) = write.once() else { return Step::Runs };
        match replays.outcome_of(write) {
            Some(outcome) => Step::Known(outcome),
            None => match *first.entry(once.id()).or_insert(at) {
                earlier if earlier < at => Step::Repeats(earlier),
                _ => Step::Runs,
            },
        }
    }));
    let open = batch.iter().copied().zip(&steps).filter(|(_, step)| matches!(step, Step::Runs));
    let open = Vec::from_iter(open.map(|(write, _)| write));
    let mut ran = execute(connection, &open, locks)?;
    replay_refused(connection, &open, &mut ran);
    Ok(merge(batch, steps, ran))
}

/// How a write of the batch gets its outcome.
enum Step {
    /// It was executed before, or its key belongs to another request.
    Known(Outcome<Write>),
    Runs,
    /// It has the key of this earlier write of the batch.
    Repeats(usize),
}

/// The executions of the whole batch, from those of the writes that ran.
fn merge(batch: &[&Write], steps: Vec<Step>, ran: Vec<Execution<Write>>) -> Vec<Execution<Write>> {
    let mut ran = ran.into_iter();
    let mut all = Vec::<Execution<Write>>::with_capacity(batch.len());
    for (write, step) in batch.iter().zip(steps) {
        all.push(match step {
            Step::Known(outcome) => Execution::Executed(outcome),
            Step::Runs => ran.next().unwrap_or(Execution::Deferred),
            Step::Repeats(at) => repetition(write.once(), batch.get(at).and_then(|first| first.once()), all.get(at)),
        });
    }
    all
}

/// The execution of a write that has the key of an earlier one: what the repetition of that one would be answered. If
/// that one is not executed yet, or was refused and this is another request, it is decided in a later batch.
fn repetition(once: Option<&Once>, first: Option<&Once>, execution: Option<&Execution<Write>>) -> Execution<Write> {
    let Some(Execution::Executed(outcome)) = execution else { return Execution::Deferred };
    match outcome {
        Ok(_) if once != first => Execution::Executed(Err(Error::KeyReused)),
        Ok(written) => Execution::Executed(Ok(Written { is_replay: true, ..written.clone() })),
        Err(_) if once != first => Execution::Deferred,
        Err(error) => Execution::Executed(Err(error.clone())),
    }
}

/// Replaces refusals by the answer of the same write, if it was executed before, or at another replica meanwhile:
/// it was refused because its change was made already.
fn replay_refused(connection: &mut Connection, open: &[&Write], ran: &mut [Execution<Write>]) {
    // On SQLite nobody else could write meanwhile.
    if !matches!(connection, Connection::Postgres(..)) {
        return;
    }
    let is_refused = |write: &Write, execution: &Execution<Write>| {
        write.once().is_some() && matches!(execution, Execution::Executed(Err(_)))
    };
    let refused = open.iter().copied().zip(&*ran).filter(|(write, execution)| is_refused(write, execution));
    let refused = Vec::from_iter(refused.map(|(write, _)| write));
    if refused.is_empty() {
        return;
    }
    // The batch is committed. So neither a failure nor a panic may let it be tried again.
    let replays = catch_unwind(AssertUnwindSafe(|| Replays::find(connection, refused.into_iter())));
    if let Ok(Err(error)) = &replays
        && let Some(more) = FAILURES.admit()
    {
        log::warn!("the answers to repeated writes cannot be looked up: {error}{more}");
    }
    for (write, execution) in open.iter().zip(ran) {
        if is_refused(write, execution) {
            let outcome = match &replays {
                Ok(Ok(replays)) => replays.outcome_of(write),
                _ => Some(Err(Error::OutcomeUnknown)),
            };
            if let Some(outcome) = outcome {
                *execution = Execution::Executed(outcome);
            }
        }
    }
}
