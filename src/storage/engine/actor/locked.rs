//! What becomes of a message that needs what somebody else holds.

use std::time::Instant;

use super::{Actor, Failed, Locks, Message, Request};
use crate::storage::engine::retry::Retry;

impl Actor {
    /// Sets a message aside whose user is locked. It is tried again at once, in a batch that queues for the lock, and after
    /// that in batches that skip what is locked: so it costs the others nothing.
    pub(super) fn set_aside_user<R: Request>(&self, message: Message<R>, locks: Locks) -> Message<R> {
        if message.retry.is_none()
            && locks.skips_users
            && let Some(retry) = Retry::at_once(Instant::now(), message.given_up())
        {
            message.reply.put_back();
            return self.set_aside(message, retry);
        }
        let alone = message.retry.is_some_and(|retry| retry.alone);
        self.set_aside_for_later(message, alone)
    }

    /// Sets a message aside that is tried again after a pause: in a batch with others, or by itself if they would have to
    /// wait with it.
    pub(super) fn set_aside_for_later<R: Request>(&self, message: Message<R>, alone: bool) -> Message<R> {
        let before = message.retry;
        let retry = Retry::later(before, alone, Instant::now(), message.given_up());
        if retry.is_long() && !before.is_some_and(Retry::is_long) {
            self.tell(
                std::slice::from_ref(&message),
                "somebody else's transaction holds a user or an address for long",
            );
        }
        message.reply.set_aside();
        self.set_aside(message, retry)
    }

    /// Notes whether it was worthwhile to queue.
    pub(super) fn note_queued<R: Request>(&self, attempted: &Result<Vec<Message<R>>, Failed<R>>) {
        match attempted {
            Ok(_) => self.locks.queued(true),
            Err((_, failure)) if failure.is_a_lock() => self.locks.queued(false),
            Err(_) => {}
        }
    }

    fn set_aside<R: Request>(&self, mut message: Message<R>, retry: Retry) -> Message<R> {
        self.metrics.locked();
        message.retry = Some(retry);
        message
    }
}
