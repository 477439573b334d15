//! Sets aside messages that need a lock of another transaction.

use std::time::Instant;

use super::failure_log::FailureLog;
use super::message::Message;
use super::request::Request;
use super::retry::Retry;
use crate::metrics::LaneMetrics;
use crate::storage::database::connection::locks::LockPolicy;

/// Sets aside a message whose user is locked. It is retried immediately, in a batch that queues for the lock, and after
/// that in batches that skip locked users, which costs the other messages nothing.
pub(super) fn set_aside_user<R: Request>(
    message: Message<R>,
    locks: LockPolicy,
    metrics: &LaneMetrics,
    failures: &FailureLog,
) -> Message<R> {
    if message.retry.is_none()
        && locks.skips_users
        && let Some(retry) = Retry::immediately(Instant::now(), message.give_up_at())
    {
        message.reply.put_back();
        return set_aside(message, retry, metrics);
    }
    let alone = message.retry.is_some_and(|retry| retry.alone);
    set_aside_for_later(message, alone, metrics, failures)
}

/// Sets aside a message that is retried after a pause. It is retried alone if the other messages of a batch would have
/// to wait with it.
pub(super) fn set_aside_for_later<R: Request>(
    message: Message<R>,
    alone: bool,
    metrics: &LaneMetrics,
    failures: &FailureLog,
) -> Message<R> {
    let before = message.retry;
    let retry = Retry::after_pause(before, alone, Instant::now(), message.give_up_at());
    if retry.is_longest() && !before.is_some_and(Retry::is_longest) {
        failures.log(std::slice::from_ref(&message), "somebody else's transaction holds a user or an address for long");
    }
    message.reply.set_aside();
    set_aside(message, retry, metrics)
}

fn set_aside<R: Request>(mut message: Message<R>, retry: Retry, metrics: &LaneMetrics) -> Message<R> {
    metrics.locked();
    message.retry = Some(retry);
    message
}
