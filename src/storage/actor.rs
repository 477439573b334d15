//! A database actor: a thread that turns whatever waits in its mailbox into one batch, over and over.
//!
//! Nothing waits for a batch to fill: while one batch runs, the next one gathers. Under light load a batch is one message;
//! the heavier the load, the fuller the batches, and the cheaper each message.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::Receiver;

use super::batch_error::BatchError;
use super::lane::{Claimed, Mail, Message, Outcome, Request, claim};
use super::pace::Pace;
use super::pool::{Pool, Pooled};
use super::reply;
use crate::metrics::{BatchFailure, LaneMetrics};
use crate::telemetry::{BatchSpan, Throttle};
use crate::users::Error;

/// What an actor works with, whatever its lane carries.
pub(super) struct Actor {
    pub(super) pool: Pool,
    pub(super) max_batch: usize,
    pub(super) pace: Arc<Pace>,
    pub(super) metrics: LaneMetrics,
    pub(super) failures: Throttle,
    pub(super) lane: &'static str,
    /// The database, as OpenTelemetry calls it.
    pub(super) system: &'static str,
}

impl Actor {
    /// Has a thread run what is in the mail, until it is told to stop.
    pub(super) fn spawn<R: Request>(self, mail: Receiver<Mail<R>>) -> std::io::Result<JoinHandle<()>> {
        let thread = std::thread::Builder::new().name(self.lane.to_owned());
        let work = move || {
            let (mut waiting, mut open) = (Vec::new(), true);
            while open || !waiting.is_empty() {
                let (batch, more) = gather(waiting, &mail, self.max_batch);
                open &= more;
                let _lap = self.pace.begin();
                waiting = self.bounded(self.serve(batch));
            }
        };
        thread.spawn(work)
    }

    /// Keeps as many waiting as go into a batch, and sends the others away.
    fn bounded<R: Request>(&self, mut waiting: Vec<Message<R>>) -> Vec<Message<R>> {
        let sent_away = waiting.drain(self.max_batch.min(waiting.len())..);
        answer_all(sent_away.inspect(|_| self.metrics.refused()), &Error::Overloaded);
        waiting
    }

    /// Answers every message of a batch, but for those that it returns: they are the first of the next one.
    fn serve<R: Request>(&self, batch: Vec<Message<R>>) -> Vec<Message<R>> {
        let (batch, failure) = match self.attempt(batch, false) {
            Ok(waiting) => return waiting,
            Err(failed) => failed,
        };
        match failure {
            Failure::NoConnection => self.refuse_all(batch),
            Failure::Batch(BatchError::OutcomeUnknown(_)) => answer_all(batch, &R::UNANSWERED),
            // The fault may be one message's: each is tried once more, alone.
            Failure::Batch(BatchError::NotExecuted(_)) | Failure::Panic => self.serve_one_by_one(batch),
        }
        Vec::new()
    }

    fn serve_one_by_one<R: Request>(&self, batch: Vec<Message<R>>) {
        // Until its turn comes, a message waits as it did before, and its caller may still give up on it.
        for message in &batch {
            message.reply.put_back();
        }
        let mut messages = batch.into_iter();
        while let Some(message) = messages.next() {
            let Err((message, failure)) = self.attempt(vec![message], true) else { continue };
            let error = match &failure {
                Failure::NoConnection => Error::Unavailable,
                Failure::Batch(BatchError::OutcomeUnknown(_)) => R::UNANSWERED,
                Failure::Batch(BatchError::NotExecuted(cause)) => not_executed(cause),
                Failure::Panic => Error::Internal,
            };
            if matches!(failure, Failure::NoConnection) {
                // The others would wait as long, for the same answer.
                return self.refuse_all(message.into_iter().chain(messages));
            }
            answer_all(message, &error);
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
    /// The connection comes first: as long as there is none, a caller that gives up knows that nothing was executed.
    fn attempt<R: Request>(&self, batch: Vec<Message<R>>, is_last: bool) -> Result<Vec<Message<R>>, Failed<R>> {
        if batch.is_empty() {
            return Ok(batch);
        }
        let mut pooled = match self.pool.acquire() {
            Ok(pooled) => pooled,
            Err(error) => {
                self.tell(&batch, &format!("no database connection for a batch of {}: {error}", batch.len()));
                return Err(self.failed(batch, Failure::NoConnection));
            }
        };
        let claimed = claim(batch, &self.metrics);
        if claimed.messages.is_empty() {
            return Ok(claimed.messages);
        }
        let span = BatchSpan::start(self.system, self.lane, claimed.messages.iter().any(is_sampled));
        let result = span.transaction(self.system, || run(&mut pooled, &claimed.messages));
        self.metrics.transaction(claimed.at.elapsed());
        let contexts = claimed.messages.iter().map(|message| message.context);
        match result {
            Ok(outcomes) => {
                drop(pooled);
                let served = contexts.zip(&outcomes).filter(|(_, outcome)| outcome.is_some());
                span.serves(served.map(|(context, _)| context));
                Ok(self.answer_each(claimed, outcomes))
            }
            Err(failure) => {
                span.serves(contexts);
                give_back(&self.pool, pooled, &failure);
                if is_last || claimed.messages.len() > 1 || !failure.is_retried() {
                    self.tell(&claimed.messages, &format!("a batch of {} {failure}", claimed.messages.len()));
                }
                Err(self.failed(claimed.messages, failure))
            }
        }
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
        });
        (batch, failure)
    }

    /// Gives each message its outcome, and returns those without one. What is counted is so before anybody can look.
    fn answer_each<R: Request>(
        &self,
        Claimed { messages, at }: Claimed<R>,
        outcomes: Vec<Option<Outcome<R>>>,
    ) -> Vec<Message<R>> {
        let executed = outcomes.iter().flatten().count();
        self.metrics.executed(u32::try_from(executed).unwrap_or(u32::MAX));
        let mut waiting = Vec::new();
        let answers = messages.into_iter().zip(outcomes).filter_map(|(message, outcome)| {
            if let Some(outcome) = outcome {
                self.metrics.waited(at.saturating_duration_since(message.sent));
                if let (Ok(_), Some(change)) = (&outcome, message.request.change()) {
                    self.metrics.changed(change);
                }
                return Some((message.reply, outcome));
            }
            message.reply.put_back();
            waiting.push(message);
            None
        });
        reply::send_all(answers);
        waiting
    }
}

/// Adds mail to those that still wait, up to a full batch of it; if none wait, waits for the first. False when this was the
/// last mail.
///
/// Those that wait do not count: many messages for one user must not take the places of messages for others.
fn gather<R: Request>(waiting: Vec<Message<R>>, mail: &Receiver<Mail<R>>, max_batch: usize) -> (Vec<Message<R>>, bool) {
    let (waiting, mut batch) = (waiting.len(), waiting);
    if batch.is_empty() {
        let Ok(Mail::Message(first)) = mail.recv() else { return (batch, false) };
        batch.reserve(max_batch.min(1 + mail.len()));
        batch.push(first);
    }
    let most = waiting + max_batch;
    while batch.len() < most {
        match mail.try_recv() {
            Ok(Mail::Message(message)) => batch.push(message),
            Ok(Mail::Stop) => return (batch, false),
            Err(_) => break,
        }
    }
    (batch, true)
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
    /// Whether the messages are tried once more, each alone.
    const fn is_retried(&self) -> bool {
        matches!(self, Self::Batch(BatchError::NotExecuted(_)) | Self::Panic)
    }
}

/// A batch and why it failed.
type Failed<R> = (Vec<Message<R>>, Failure);

/// Runs claimed messages; a single one in its own name, so that what is logged meanwhile tells whose it is.
fn run<R: Request>(pooled: &mut Pooled, batch: &[Message<R>]) -> Result<Vec<Option<Outcome<R>>>, Failure> {
    let requests = Vec::from_iter(batch.iter().map(|message| &message.request));
    let mut run = || catch_unwind(AssertUnwindSafe(|| R::run(&mut pooled.connection, &requests)));
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

fn answer_all<R: Request>(messages: impl IntoIterator<Item = Message<R>>, error: &Error) {
    for message in messages {
        message.reply.send(Err(error.clone()));
    }
}

#[cfg(test)]
mod tests;
