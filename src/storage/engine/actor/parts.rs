//! After a batch has failed, its messages are tried in parts, to find those that it failed for.

use super::{Actor, BatchError, Failure, Message, Request, answer_all, not_executed};
use crate::domain::Error;
use crate::storage::engine::set_aside::part_behind;

impl Actor {
    /// Tries the messages of a batch that failed, in parts that begin with this size. Each is answered, but for those that it
    /// returns, which wait.
    ///
    /// A part that fails is halved, and the next one after it is small; after one that does not fail the next is twice as
    /// large. So one message of many is found by few statements, and only a message that failed alone hears of it. Until its part
    /// comes, a message is set aside: its caller may still give up on it, and if that takes too long it is not tried again.
    pub(super) fn serve_in_parts<R: Request>(&self, batch: Vec<Message<R>>, mut size: usize) -> Vec<Message<R>> {
        let (mut rest, mut waiting) = (batch, Vec::new());
        while !rest.is_empty() {
            size = size.clamp(1, rest.len());
            let later = rest.split_off(size);
            match self.attempt(rest, self.locks.trying(), true) {
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
                // The others would wait as long, for the same answer.
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
            let (free, behind) = part_behind(&waiting, chain(rest, later));
            (rest, waiting) = (free, chain(waiting, behind));
        }
        waiting
    }

    /// Answers a part that is not tried again now; returns what is tried again later.
    pub(super) fn finish<R: Request>(&self, part: Vec<Message<R>>, failure: &Failure) -> Vec<Message<R>> {
        let error = match failure {
            Failure::Batch(BatchError::Locked(_)) => {
                return part.into_iter().map(|message| self.set_aside_for_later(message, true)).collect();
            }
            Failure::NoConnection => Error::Unavailable,
            Failure::Batch(BatchError::OutcomeUnknown(_)) => R::UNANSWERED,
            Failure::Batch(BatchError::NotExecuted(cause)) => not_executed(cause),
            Failure::Panic => Error::Internal,
        };
        answer_all(part, &error);
        Vec::new()
    }
}

fn chain<T>(mut first: Vec<T>, then: Vec<T>) -> Vec<T> {
    first.extend(then);
    first
}
