//! Finds the messages that a batch failed for, by trying the batch in parts.
//!
//! Only the end of the inserting transaction tells whether an address is free, and a statement cannot skip an address.
//! So the statement waits for it for 50 ms (`lock_timeout`) and fails. The actor then tries halves of the batch, and
//! halves of those, each of which waits for 5 ms. The message that fails alone is set aside.

use super::executor::{Executor, Failure};
use super::locked::set_aside_for_later;
use super::message::{Message, answer_all};
use super::request::Request;
use super::set_aside::split_blocked;
use crate::domain::Error;
use crate::storage::database::connection::batch_error::BatchError;
use crate::storage::database::schema::KEY_INDEX;

impl Executor {
    /// Tries the messages of a failed batch in parts, the first of this size. Answers them, and returns those that
    /// wait.
    ///
    /// A failed part is halved, and the part after it is small; after a successful part the next is twice as large. So
    /// few statements find one message among many, and only a message that failed alone gets the error. Until its part
    /// is tried a message counts as set aside: its caller may still give up, and if that takes too long the message is
    /// not tried again.
    pub(super) fn serve_in_parts<R: Request>(&self, batch: Vec<Message<R>>, mut size: usize) -> Vec<Message<R>> {
        let (mut rest, mut waiting) = (batch, Vec::new());
        while !rest.is_empty() {
            size = size.clamp(1, rest.len());
            let later = rest.split_off(size);
            match self.attempt(rest, self.locks.probe(), true) {
                Ok(left) => {
                    size *= 2;
                    let (locked, deferred) = left.into_iter().partition(|message| message.retry.is_some());
                    waiting = chain(waiting, locked);
                    rest = deferred;
                }
                Err((part, failure)) if part.len() > 1 && failure.is_retried() => {
                    size = part.len() / 2;
                    rest = part;
                }
                // The other parts would wait as long, for the same answer.
                Err((part, Failure::NoConnection)) => {
                    self.refuse_all(chain(part, later));
                    return waiting;
                }
                Err((part, failure)) => {
                    size = 1;
                    waiting = chain(waiting, self.finish(part, &failure));
                    rest = Vec::new();
                }
            }
            let (free, blocked) = split_blocked(&waiting, chain(rest, later));
            (rest, waiting) = (free, chain(waiting, blocked));
        }
        waiting
    }

    /// Answers a failed part that is not tried again now. Returns the messages that are retried later.
    pub(super) fn finish<R: Request>(&self, part: Vec<Message<R>>, failure: &Failure) -> Vec<Message<R>> {
        let error = match failure {
            Failure::Batch(BatchError::Locked(_)) => {
                let later = part.into_iter();
                return later
                    .map(|message| set_aside_for_later(message, true, &self.metrics, &self.failures))
                    .collect();
            }
            Failure::NoConnection => Error::Unavailable,
            Failure::Batch(BatchError::OutcomeUnknown(_)) => R::UNANSWERED,
            Failure::Batch(BatchError::NotExecuted(cause)) => error_of_unexecuted(cause),
            Failure::Panic => Error::Internal,
        };
        answer_all(part, &error);
        Vec::new()
    }
}

/// The caller's error if nothing was executed. A database that is lost, locked, full or read-only is unavailable; any
/// other cause is a fault of the service.
fn error_of_unexecuted(cause: &diesel::result::Error) -> Error {
    use diesel::result::{DatabaseErrorKind as Kind, Error as Cause};
    match cause {
        // Another replica has stored this key at the same moment. The next attempt finds it.
        Cause::DatabaseError(Kind::UniqueViolation, about) if about.constraint_name() == Some(KEY_INDEX) => {
            Error::Unavailable
        }
        // Another replica took the address at the same moment. There is no other unique key that could conflict.
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

fn chain<T>(mut first: Vec<T>, then: Vec<T>) -> Vec<T> {
    first.extend(then);
    first
}
