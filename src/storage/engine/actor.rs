//! A database actor: a thread that turns whatever waits in its mailbox into one batch, over and over.
//!
//! Nothing waits for a batch to fill: while one batch runs, the next one gathers. Under light load a batch is one message;
//! the heavier the load, the fuller the batches, and the cheaper each message.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crossbeam_channel::Receiver;

use super::lane::{Claimed, Mail, Message, Ran, Request, claim};
use super::pace::Pace;
use super::reply;
use super::set_aside::Due;
use crate::domain::Error;
use crate::metrics::{BatchFailure, LaneMetrics};
use crate::storage::database::batch_error::BatchError;
use crate::storage::database::locks::{LockWaits, Locks};
use crate::storage::database::pool::{Pool, Pooled};
use crate::storage::database::watchdog::OnHang;
use crate::storage::database::workers::Worker;
use crate::telemetry::{BatchSpan, Throttle};

/// What an actor works with, whatever its lane carries.
pub(super) struct Actor {
    pub(super) pool: Pool,
    pub(super) max_batch: usize,
    pub(super) pace: Arc<Pace>,
    pub(super) metrics: LaneMetrics,
    pub(super) failures: Throttle,
    pub(super) locks: LockWaits,
    pub(super) on_hang: OnHang,
    pub(super) lane: &'static str,
    /// The database, as OpenTelemetry calls it.
    pub(super) system: &'static str,
}

impl Actor {
    /// Runs what is in the mail, until it is told to stop, or has hung in a batch for so long that another does it.
    pub(super) fn run<R: Request>(&self, mail: &Receiver<Mail<R>>, worker: &Worker) {
        if worker.is_replacement() {
            self.pace.replace();
        }
        let (mut waiting, mut open) = (Vec::new(), true);
        // Abandoned, it ends: those who wait have heard that their time is up.
        while (open || !waiting.is_empty()) && !worker.is_abandoned() {
            let (due, more) = mail::next(waiting, mail, self.max_batch);
            open &= more;
            if !open {
                worker.prepare_to_end();
            }
            waiting = self.serve_due(due, worker);
        }
    }

    /// Keeps as many waiting as go into a batch, and as many that are set aside, and sends the others away.
    fn bounded<R: Request>(&self, waiting: Vec<Message<R>>) -> Vec<Message<R>> {
        let (mut in_line, mut set_aside) = (0, 0);
        let has_place = |message: &Message<R>| {
            let places = if message.retry.is_some() { &mut set_aside } else { &mut in_line };
            *places += 1;
            *places <= self.max_batch
        };
        let (waiting, sent_away): (Vec<_>, Vec<_>) = waiting.into_iter().partition(has_place);
        answer_all(sent_away.into_iter().inspect(|_| self.metrics.refused()), &Error::Overloaded);
        waiting
    }

    /// Serves what runs now. Returns what waits: first what has just been tried, which comes before all that touches the same.
    fn serve_due<R: Request>(&self, Due { batch, alone, staying }: Due<R>, worker: &Worker) -> Vec<Message<R>> {
        let mut waiting = Vec::new();
        if !batch.is_empty() || alone.is_some() {
            let lap = self.pace.begin();
            waiting = self.serve_in_parts(alone.into_iter().collect(), 1);
            waiting.extend(self.serve(batch));
            if worker.is_abandoned() {
                lap.leave_open();
            }
        }
        let (mut waiting, staying) = (self.bounded(waiting), self.bounded(staying));
        let locked = waiting.iter().filter(|message| message.retry.is_some()).count();
        self.metrics.set_aside(locked + staying.len());
        waiting.extend(staying);
        waiting
    }

    /// Answers every message of a batch, but for those that it returns: they wait.
    fn serve<R: Request>(&self, batch: Vec<Message<R>>) -> Vec<Message<R>> {
        let queues = batch.iter().any(|message| message.retry.is_some_and(|retry| retry.queues()));
        let locks = if queues { self.locks.queueing() } else { self.locks.skipping() };
        let attempted = self.attempt(batch, locks, false);
        if queues {
            self.note_queued(&attempted);
        }
        let (batch, failure) = match attempted {
            Ok(waiting) => return waiting,
            Err(failed) => failed,
        };
        match failure {
            // Now without those for which it has queued in vain.
            Failure::Batch(BatchError::Locked(_)) if queues => self.serve_in_parts(batch, usize::MAX),
            Failure::Batch(BatchError::Locked(_)) if batch.len() > 1 => {
                let half = batch.len() / 2;
                self.serve_in_parts(batch, half)
            }
            // The fault may be one message's.
            Failure::Batch(BatchError::NotExecuted(_)) | Failure::Panic => self.serve_in_parts(batch, 1),
            Failure::NoConnection => {
                self.refuse_all(batch);
                Vec::new()
            }
            Failure::Batch(_) => self.finish(batch, &failure),
        }
    }

    /// Sends messages away for which there is no database.
    fn refuse_all<R: Request>(&self, messages: impl IntoIterator<Item = Message<R>>) {
        answer_all(messages.into_iter().inspect(|_| self.metrics.refused()), &Error::Unavailable);
    }

    /// Claims the messages of a batch and runs them on a connection of their own. Messages that can no longer be claimed
    /// cost nothing. Returns those that have not been executed, and wait for the next batch. If the batch fails it comes
    /// back with the reason, which has been logged, but for that of a single message which is tried once more.
    ///
    /// The connection comes first, and SQLite's write lock: as long as they are not there, a caller that gives up knows that
    /// nothing was executed.
    fn attempt<R: Request>(
        &self,
        batch: Vec<Message<R>>,
        locks: Locks,
        is_last: bool,
    ) -> Result<Vec<Message<R>>, Failed<R>> {
        if batch.is_empty() {
            return Ok(batch);
        }
        let mut pooled = match self.pool.acquire(&self.on_hang) {
            Ok(pooled) => pooled,
            Err(error) => {
                self.tell(&batch, &format!("no database connection for a batch of {}: {error}", batch.len()));
                return Err(self.failed(batch, Failure::NoConnection));
            }
        };
        let turn = match if R::CHANGES { pooled.connection.begin_batch() } else { Ok(None) } {
            Ok(turn) => turn,
            Err(error) => {
                let failure = Failure::Batch(BatchError::NotExecuted(error));
                return Err(self.hand_back(batch, pooled, failure, is_last));
            }
        };
        let claimed = claim(batch, self.locks.is_table_locked(), &self.metrics);
        if claimed.messages.is_empty() {
            if R::CHANGES {
                self.pool.check(pooled);
            }
            return Ok(claimed.messages);
        }
        let span = BatchSpan::start(self.system, self.lane, claimed.messages.iter().any(is_sampled));
        let result = span.transaction(self.system, || run(&mut pooled, &claimed.messages, locks));
        drop(turn);
        let took = claimed.at.elapsed();
        self.locks.ended(result.is_ok(), took);
        self.metrics.transaction(took);
        let contexts = claimed.messages.iter().map(|message| message.context);
        match result {
            Ok(all) => {
                drop(pooled);
                let served = contexts.zip(&all).filter(|(_, ran)| matches!(ran, Ran::Executed(_)));
                span.serves(served.map(|(context, _)| context));
                Ok(self.answer_each(claimed, all, locks))
            }
            Err(failure) => {
                span.serves(contexts);
                Err(self.hand_back(claimed.messages, pooled, failure, is_last))
            }
        }
    }

    /// Ends an attempt that failed.
    fn hand_back<R: Request>(
        &self,
        batch: Vec<Message<R>>,
        pooled: Pooled,
        failure: Failure,
        is_last: bool,
    ) -> Failed<R> {
        if failure.is_retried() {
            // Before the connection is asked how it is: should a caller give up now, it is to hear what is known.
            release(&batch);
        }
        give_back(&self.pool, pooled, &failure);
        if !failure.is_a_lock() && (is_last || batch.len() > 1 || !failure.is_retried()) {
            self.tell(&batch, &format!("a batch of {} {failure}", batch.len()));
        }
        self.failed(batch, failure)
    }

    /// Logs a failure: as a line of the request that it is of, if that is one; else with the requests' names.
    fn tell<R: Request>(&self, batch: &[Message<R>], failure: &str) {
        let Some(more) = self.failures.admit() else { return };
        match batch {
            [Message { context: Some(context), .. }] => context.run(|| log::warn!("{failure}{more}")),
            batch => log::warn!("{failure}; requests {}{more}", names(batch)),
        }
    }

    fn failed<R: Request>(&self, batch: Vec<Message<R>>, failure: Failure) -> Failed<R> {
        self.metrics.failed(match failure {
            Failure::NoConnection => BatchFailure::NoConnection,
            Failure::Batch(BatchError::NotExecuted(_)) => BatchFailure::NotExecuted,
            Failure::Batch(BatchError::OutcomeUnknown(_)) => BatchFailure::OutcomeUnknown,
            Failure::Panic => BatchFailure::Panic,
            // That is counted by message, once it is known whose lock it is.
            Failure::Batch(BatchError::Locked(_)) => return (batch, failure),
        });
        (batch, failure)
    }

    /// Gives each message its outcome, and returns those without one: of these, those that are locked are set aside. What is
    /// counted is so before anybody can look.
    fn answer_each<R: Request>(
        &self,
        Claimed { messages, at }: Claimed<R>,
        all: Vec<Ran<R>>,
        locks: Locks,
    ) -> Vec<Message<R>> {
        let executed = all.iter().filter(|ran| matches!(ran, Ran::Executed(_))).count();
        if executed > 0 {
            self.metrics.executed(u32::try_from(executed).unwrap_or(u32::MAX));
        }
        let mut waiting = Vec::new();
        let answers = messages.into_iter().zip(all).filter_map(|(mut message, ran)| {
            match ran {
                Ran::Executed(outcome) => {
                    self.metrics.waited(at.saturating_duration_since(message.sent));
                    if let (Ok(_), Some(change)) = (&outcome, message.request.change()) {
                        self.metrics.changed(change);
                    }
                    return Some((message.reply, outcome));
                }
                Ran::Deferred => {
                    message.retry = None;
                    message.reply.put_back();
                    waiting.push(message);
                }
                Ran::Locked => waiting.push(self.set_aside_user(message, locks)),
            }
            None
        });
        reply::send_all(answers);
        waiting
    }
}

/// A database that is lost, locked, full or read-only is not there for the caller; anything else is our fault.
fn not_executed(cause: &diesel::result::Error) -> Error {
    use diesel::result::{DatabaseErrorKind as Kind, Error as Cause};
    match cause {
        // Another replica took the address in the same moment; users have no other unique key to lose.
        Cause::DatabaseError(Kind::UniqueViolation, _) => Error::EmailTaken,
        Cause::BrokenTransactionManager
        | Cause::DatabaseError(
            Kind::Unknown
            | Kind::ClosedConnection
            | Kind::UnableToSendCommand
            | Kind::SerializationFailure
            | Kind::ReadOnlyTransaction,
            _,
        ) => Error::Unavailable,
        _ => Error::Internal,
    }
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("had no connection")]
    NoConnection,
    #[error("failed, {0}")]
    Batch(BatchError),
    #[error("panicked")]
    Panic,
}

impl Failure {
    /// Whether the messages are tried once more.
    const fn is_retried(&self) -> bool {
        matches!(self, Self::Batch(BatchError::NotExecuted(_)) | Self::Panic) || self.is_a_lock()
    }

    const fn is_a_lock(&self) -> bool {
        matches!(self, Self::Batch(BatchError::Locked(_)))
    }
}

/// A batch and why it failed.
type Failed<R> = (Vec<Message<R>>, Failure);

/// Runs claimed messages; a single one in its own name, so that what is logged meanwhile tells whose it is.
fn run<R: Request>(pooled: &mut Pooled, batch: &[Message<R>], locks: Locks) -> Result<Vec<Ran<R>>, Failure> {
    let requests = Vec::from_iter(batch.iter().map(|message| &message.request));
    let mut run = || catch_unwind(AssertUnwindSafe(|| R::run(&mut pooled.connection, &requests, locks)));
    let result = match batch {
        [Message { context: Some(context), .. }] => context.run(run),
        _ => run(),
    };
    let outcomes = result.map_err(|_| Failure::Panic)?.map_err(Failure::Batch)?;
    if R::CHANGES {
        // What was committed to a file that is no longer the database's is not there, or is somewhere else.
        pooled.check_files().map_err(|displaced| Failure::Batch(BatchError::OutcomeUnknown(displaced.into())))?;
    }
    Ok(outcomes)
}

fn is_sampled<R: Request>(message: &Message<R>) -> bool {
    message.context.is_some_and(|context| context.span().is_some())
}

/// After a failure the pool gets the connection back only if it is known to be sound.
fn give_back(pool: &Pool, mut pooled: Pooled, failure: &Failure) {
    match failure {
        // Whatever panicked may have left half an answer on the wire.
        Failure::Panic => pooled.discard(),
        Failure::Batch(BatchError::NotExecuted(error)) => pool.take_back(pooled, error),
        Failure::Batch(BatchError::Locked(_)) => pool.check(pooled),
        Failure::Batch(BatchError::OutcomeUnknown(_)) | Failure::NoConnection => {
            pooled.discard();
            pool.suspect_all();
        }
    }
}

/// Requests named in a line about many of them, at most.
const NAMED: usize = 10;

fn names<R: Request>(batch: &[Message<R>]) -> String {
    let ids = batch.iter().filter_map(|message| Some(message.context?.request_id.to_string()));
    let more = if batch.len() > NAMED { ", ..." } else { "" };
    ids.take(NAMED).collect::<Vec<_>>().join(", ") + more
}

/// They were tried in vain, and may be tried again.
fn release<R: Request>(batch: &[Message<R>]) {
    for message in batch {
        message.reply.set_aside();
    }
}

fn answer_all<R: Request>(messages: impl IntoIterator<Item = Message<R>>, error: &Error) {
    for message in messages {
        message.reply.send(Err(error.clone()));
    }
}

mod locked;
mod mail;
mod parts;
#[cfg(test)]
mod tests;
