//! Gathers what an actor serves next: messages that wait, and new ones from the mailbox.

use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::message::{MailboxItem, Message};
use super::request::Request;
use super::set_aside::{Schedule, next_due, schedule};

/// Gathers messages, and schedules those that run now. Returns false after the last item of the mailbox.
pub(super) fn next<R: Request>(
    waiting: Vec<Message<R>>,
    mailbox: &Receiver<MailboxItem<R>>,
    max_batch: usize,
) -> (Schedule<R>, bool) {
    let (messages, more) = gather(waiting, mailbox, max_batch);
    (schedule(messages, Instant::now()), more)
}

/// Adds up to a full batch of new messages to those that wait. If none of these runs now, waits for the first new one.
/// Returns false after the last item of the mailbox.
///
/// Waiting messages do not count: many messages for one user must not take the slots of messages for others.
pub(super) fn gather<R: Request>(
    waiting: Vec<Message<R>>,
    mailbox: &Receiver<MailboxItem<R>>,
    max_batch: usize,
) -> (Vec<Message<R>>, bool) {
    let (waiting, mut batch) = (waiting.len(), waiting);
    match await_first(&batch, mailbox) {
        Ok(Some(first)) => {
            batch.reserve(max_batch.min(1 + mailbox.len()));
            batch.push(first);
        }
        Ok(None) => {}
        Err(Stopped) => return (batch, false),
    }
    let limit = waiting + max_batch;
    while batch.len() < limit {
        match mailbox.try_recv() {
            Ok(MailboxItem::Message(message)) => batch.push(message),
            Ok(MailboxItem::Stop) => return (batch, false),
            Err(_) => break,
        }
    }
    (batch, true)
}

struct Stopped;

/// Waits for a message, but no longer than until a waiting message is due.
fn await_first<R: Request>(
    waiting: &[Message<R>],
    mailbox: &Receiver<MailboxItem<R>>,
) -> Result<Option<Message<R>>, Stopped> {
    let now = Instant::now();
    let item = match next_due(waiting, now) {
        None => mailbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
        Some(due) if due <= now => return Ok(None),
        Some(due) => mailbox.recv_deadline(due).inspect_err(|error| {
            if *error == RecvTimeoutError::Disconnected {
                std::thread::sleep(due.saturating_duration_since(now));
            }
        }),
    };
    match item {
        Ok(MailboxItem::Message(first)) => Ok(Some(first)),
        Err(RecvTimeoutError::Timeout) => Ok(None),
        Ok(MailboxItem::Stop) | Err(RecvTimeoutError::Disconnected) => Err(Stopped),
    }
}
