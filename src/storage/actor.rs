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
use crate::telemetry::BatchSpan;
use crate::users::Error;

/// What an actor works with, whatever its lane carries.
pub(super) struct Actor {
    pub(super) pool: Pool,
    pub(super) max_batch: usize,
    pub(super) pace: Arc<Pace>,
    pub(super) metrics: LaneMetrics,
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
        let (batch, failure) = match self.attempt(batch) {
            Ok(waiting) => return waiting,
            Err(failed) => failed,
        };
        match failure {
            Failure::NoConnection => answer_all(batch, &Error::Unavailable),
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
            let Err((message, failure)) = self.attempt(vec![message]) else { continue };
            let error = match &failure {
                Failure::NoConnection => Error::Unavailable,
                Failure::Batch(BatchError::OutcomeUnknown(_)) => R::UNANSWERED,
                Failure::Batch(BatchError::NotExecuted(cause)) => not_executed(cause),
                Failure::Panic => Error::Internal,
            };
            answer_all(message, &error);
            if matches!(failure, Failure::NoConnection) {
                // The others would wait as long, for the same answer.
                return answer_all(messages, &Error::Unavailable);
            }
        }
    }

    /// Claims the messages of a batch and runs them on a connection of their own. Messages that can no longer be claimed cost
    /// nothing. Returns those that have not been executed, and wait for the next batch. If the batch fails it comes back with
    /// the reason, which has been logged.
    ///
    /// The connection comes first: as long as there is none, a caller that gives up knows that nothing was executed.
    fn attempt<R: Request>(&self, batch: Vec<Message<R>>) -> Result<Vec<Message<R>>, Failed<R>> {
        if batch.is_empty() {
            return Ok(batch);
        }
        let mut pooled = match self.pool.check_out() {
            Ok(pooled) => pooled,
            Err(error) => {
                on_behalf_of(&batch, |whose| {
                    log::warn!("no database connection for a batch of {}: {error}{whose}", batch.len());
                });
                return Err(self.failed(batch, Failure::NoConnection));
            }
        };
        let claimed = claim(batch, &self.metrics);
        if claimed.messages.is_empty() {
            return Ok(claimed.messages);
        }
        let span = self.span(&claimed);
        let result = span.transaction(self.system, || run(&mut pooled, &claimed.messages));
        self.metrics.transaction(claimed.at.elapsed());
        match result {
            Ok(outcomes) => {
                drop(pooled);
                Ok(self.answer_each(claimed, outcomes))
            }
            Err(failure) => {
                give_back(&self.pool, pooled, &failure);
                Err(self.failed(claimed.messages, failure))
            }
        }
    }

    fn span<R: Request>(&self, claimed: &Claimed<R>) -> BatchSpan {
        let spans = claimed.messages.iter().filter_map(|message| message.context.as_ref()?.span.as_deref().cloned());
        BatchSpan::start(self.system, self.lane, claimed.messages.len(), spans)
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

enum Failure {
    NoConnection,
    Batch(BatchError),
    Panic,
}

/// A batch and why it failed.
type Failed<R> = (Vec<Message<R>>, Failure);

/// Runs claimed messages. A failure is logged here, for the request whose message it was if there is only one.
fn run<R: Request>(pooled: &mut Pooled, batch: &[Message<R>]) -> Result<Vec<Option<Outcome<R>>>, Failure> {
    let requests = Vec::from_iter(batch.iter().map(|message| &message.request));
    let failure = match catch_unwind(AssertUnwindSafe(|| R::run(&mut pooled.connection, &requests))) {
        Ok(Ok(outcomes)) => return Ok(outcomes),
        Ok(Err(error)) => Failure::Batch(error),
        Err(_) => Failure::Panic,
    };
    on_behalf_of(batch, |whose| match &failure {
        Failure::Batch(error) => log::warn!("a batch of {} failed, {error}{whose}", batch.len()),
        Failure::Panic | Failure::NoConnection => log::error!("a batch of {} panicked{whose}", batch.len()),
    });
    Err(failure)
}

/// After a failure the pool gets the connection back only if it is known to be sound.
fn give_back(pool: &Pool, mut pooled: Pooled, failure: &Failure) {
    match failure {
        // Whatever panicked may have left half an answer on the wire.
        Failure::Panic => pooled.discard(),
        Failure::Batch(BatchError::NotExecuted(_)) => pool.check(pooled),
        Failure::Batch(BatchError::OutcomeUnknown(_)) | Failure::NoConnection => {
            pooled.discard();
            pool.suspect_all();
        }
    }
}

/// Requests named in a line about many of them, at most.
const NAMED: usize = 10;

/// Has a line of the log tell which requests it is about: as lines within a request do if it is one, else in words.
fn on_behalf_of<R: Request>(batch: &[Message<R>], log: impl FnOnce(&str)) {
    if let [Message { context: Some(context), .. }] = batch {
        return context.clone().run(|| log(""));
    }
    let ids = batch.iter().filter_map(|message| Some(message.context.as_ref()?.request_id.to_string()));
    let named = ids.take(NAMED).collect::<Vec<_>>().join(", ");
    let more = if batch.len() > NAMED { ", ..." } else { "" };
    log(&format!("; requests {named}{more}"));
}

fn answer_all<R: Request>(messages: impl IntoIterator<Item = Message<R>>, error: &Error) {
    for message in messages {
        message.reply.send(Err(error.clone()));
    }
}

#[cfg(test)]
mod tests;
