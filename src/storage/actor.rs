//! A database actor: a thread that turns whatever waits in its mailbox into one batch, over and over.
//!
//! Nothing waits for a batch to fill: while one batch runs, the next one gathers. Under light load a batch is one message;
//! the heavier the load, the fuller the batches, and the cheaper each message.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;

use crossbeam_channel::Receiver;

use super::lane::{BatchError, Mail, Message, Outcome, Request};
use super::pool::{Pool, Pooled};
use crate::users::Error;

pub(super) fn spawn<R: Request>(
    name: &'static str,
    mail: Receiver<Mail<R>>,
    pool: Pool,
    max_batch: usize,
) -> std::io::Result<JoinHandle<()>> {
    let work = move || {
        let mut batch = Vec::with_capacity(max_batch);
        let mut open = true;
        while open {
            open = gather(&mail, &mut batch, max_batch);
            if !batch.is_empty() {
                serve(&pool, &mut batch);
            }
        }
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(work)
}

/// Waits for mail and takes what else is there, up to a full batch. False when this was the last.
fn gather<R: Request>(mail: &Receiver<Mail<R>>, batch: &mut Vec<Message<R>>, max_batch: usize) -> bool {
    let mut next = mail.recv().ok();
    while let Some(Mail::Message(message)) = next {
        batch.extend(message.take());
        if batch.len() == max_batch {
            return true;
        }
        let Ok(waiting) = mail.try_recv() else { return true };
        next = Some(waiting);
    }
    false
}

/// Answers every message of a batch, and leaves it empty.
fn serve<R: Request>(pool: &Pool, batch: &mut Vec<Message<R>>) {
    match attempt(pool, batch) {
        Ok(outcomes) => answer(batch.drain(..), outcomes),
        Err(Failure::Batch(BatchError::OutcomeUnknown(_))) => answer_all(batch.drain(..), &Error::OutcomeUnknown),
        Err(Failure::NoConnection) => answer_all(batch.drain(..), &Error::Unavailable),
        // The fault may be one message's: each is tried once more, alone.
        Err(Failure::Batch(BatchError::NotExecuted(_)) | Failure::Panic) => serve_one_by_one(pool, batch),
    }
}

fn serve_one_by_one<R: Request>(pool: &Pool, batch: &mut Vec<Message<R>>) {
    let mut messages = batch.drain(..);
    while let Some(message) = messages.next() {
        let Some(message) = message.in_time() else { continue };
        match attempt(pool, std::slice::from_ref(&message)) {
            Ok(outcomes) => answer([message], outcomes),
            Err(Failure::Batch(BatchError::OutcomeUnknown(_))) => message.reply.send(Err(Error::OutcomeUnknown)),
            Err(Failure::Batch(BatchError::NotExecuted(cause))) => message.reply.send(Err(not_executed(&cause))),
            Err(Failure::Panic) => message.reply.send(Err(Error::Internal)),
            Err(Failure::NoConnection) => {
                // The others would wait as long, for the same answer.
                message.reply.send(Err(Error::Unavailable));
                answer_all(messages.by_ref(), &Error::Unavailable);
            }
        }
    }
}

enum Failure {
    NoConnection,
    Batch(BatchError),
    Panic,
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

/// Runs a batch on a connection of its own, and logs why if it fails.
fn attempt<R: Request>(pool: &Pool, batch: &[Message<R>]) -> Result<Vec<Outcome<R>>, Failure> {
    let mut pooled = pool.check_out().map_err(|error| {
        log::warn!("no database connection for a batch of {}: {error}", batch.len());
        Failure::NoConnection
    })?;
    let requests = Vec::from_iter(batch.iter().map(|message| &message.request));
    let result = catch_unwind(AssertUnwindSafe(|| R::run(&mut pooled.connection, &requests)));
    let failure = match result {
        Ok(Ok(outcomes)) => return Ok(outcomes),
        Ok(Err(error)) => {
            log::warn!("a batch of {} failed, {error}", batch.len());
            Failure::Batch(error)
        }
        Err(_) => {
            log::error!("a batch of {} panicked", batch.len());
            Failure::Panic
        }
    };
    give_back(pool, pooled, &failure);
    Err(failure)
}

/// After a failure the pool gets the connection back only if it is known to be sound.
fn give_back(pool: &Pool, mut pooled: Pooled, failure: &Failure) {
    match failure {
        Failure::Batch(BatchError::NotExecuted(_)) if pooled.connection.recover() => {}
        // Whatever panicked may have left half an answer on the wire.
        Failure::Panic => pooled.discard(),
        _ => {
            pooled.discard();
            pool.suspect_all();
        }
    }
}

fn answer<R: Request>(messages: impl IntoIterator<Item = Message<R>>, outcomes: Vec<Outcome<R>>) {
    for (message, outcome) in messages.into_iter().zip(outcomes) {
        message.reply.send(outcome);
    }
}

fn answer_all<R: Request>(messages: impl Iterator<Item = Message<R>>, error: &Error) {
    for message in messages {
        message.reply.send(Err(error.clone()));
    }
}
