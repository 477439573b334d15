//! Messages: requests on their way from a caller through a mailbox to an actor.

use std::time::Instant;

use super::reply::Reply;
use super::request::{Request, Sent};
use super::retry::Retry;
use crate::domain::Error;
use crate::metrics::LaneMetrics;
use crate::storage::database::connection::locks::{LockTimeouts, lock_timeout};
use crate::telemetry::Context;

/// What a mailbox holds.
pub(super) enum MailboxItem<R: Request> {
    Message(Message<R>),
    /// The last item that an actor reads.
    Stop,
}

/// A request on its way.
pub(super) struct Message<R: Request> {
    pub(super) request: R,
    /// The HTTP request or gRPC call that it is sent for.
    pub(super) context: Option<Context>,
    pub(super) sent: Instant,
    pub(super) deadline: Instant,
    pub(super) reply: Reply<Sent<R>>,
    /// Set while the message is set aside: another transaction holds a lock that it needs.
    pub(super) retry: Option<Retry>,
}

impl<R: Request> Message<R> {
    /// Whether the deadline is the caller's own, which was earlier than the lane's.
    fn has_callers_deadline(&self) -> bool {
        self.context.and_then(|context| context.deadline) == Some(self.deadline)
    }

    /// Whether the message will not be executed any more.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.is_late(now, false) || self.reply.is_over()
    }

    /// When an unsuccessful message is given up. An attempt that begins later could end after the deadline, and the
    /// caller would not know whether the message was executed. So there must be time for a statement to wait for a
    /// lock, and half of that again for a busy machine.
    pub(super) fn give_up_at(&self) -> Instant {
        let time = self.deadline.saturating_duration_since(self.sent);
        let last_try = lock_timeout(time).max(LockTimeouts::LONGEST);
        self.deadline.checked_sub(last_try * 3 / 2).unwrap_or(self.sent)
    }

    /// Whether the deadline has passed, or is too near for an attempt that may wait for a lock: this message has waited
    /// for one before, or the statement before it has waited for a table.
    fn is_late(&self, now: Instant, is_table_locked: bool) -> bool {
        self.deadline <= now || (self.give_up_at() <= now && (is_table_locked || self.reply.is_set_aside()))
    }

    /// The message, or `None` after answering it if it is late.
    fn unless_late(self, now: Instant, is_table_locked: bool, metrics: &LaneMetrics) -> Option<Self> {
        if !self.is_late(now, is_table_locked) {
            return Some(self);
        }
        if self.has_callers_deadline() {
            metrics.abandoned();
        } else {
            metrics.expired();
        }
        let is_locked = is_table_locked || self.reply.is_set_aside();
        self.reply.send((Err(if is_locked { Error::Unavailable } else { Error::Overloaded }), None));
        None
    }
}

/// Messages that an actor has claimed, and when.
pub(super) struct Claimed<R: Request> {
    pub(super) messages: Vec<Message<R>>,
    pub(super) at: Instant,
}

/// Claims messages for execution. Drops those whose deadline has passed or whose caller has gone.
pub(super) fn claim<R: Request>(messages: Vec<Message<R>>, is_table_locked: bool, metrics: &LaneMetrics) -> Claimed<R> {
    let at = Instant::now();
    let claim = |message: Message<R>| {
        let message = message.unless_late(at, is_table_locked, metrics)?;
        if !message.reply.claim() {
            metrics.abandoned();
            return None;
        }
        Some(message)
    };
    Claimed { messages: messages.into_iter().filter_map(claim).collect(), at }
}

/// Drops messages whose deadline has passed, without claiming the others.
pub(super) fn drop_late<R: Request>(
    messages: Vec<Message<R>>,
    is_table_locked: bool,
    metrics: &LaneMetrics,
) -> Vec<Message<R>> {
    let now = Instant::now();
    messages.into_iter().filter_map(|message| message.unless_late(now, is_table_locked, metrics)).collect()
}

/// Answers messages with the same error.
pub(super) fn answer_all<R: Request>(messages: impl IntoIterator<Item = Message<R>>, error: &Error) {
    for message in messages {
        message.reply.send((Err(error.clone()), None));
    }
}
