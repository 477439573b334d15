//! What an actor serves next: what waits, and the mail that is there by now.

use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::{Mail, Message, Request};
use crate::storage::engine::set_aside::{Due, next_due, take_due};

/// Gathers, and tells what runs now from what stays set aside. False when this was the last mail.
pub(super) fn next<R: Request>(waiting: Vec<Message<R>>, mail: &Receiver<Mail<R>>, max_batch: usize) -> (Due<R>, bool) {
    let (messages, more) = gather(waiting, mail, max_batch);
    (take_due(messages, Instant::now()), more)
}

/// Adds mail to those that still wait, up to a full batch of it; if none of them runs now, waits for the first. False when
/// this was the last mail.
///
/// Those that wait do not count: many messages for one user must not take the places of messages for others.
pub(super) fn gather<R: Request>(
    waiting: Vec<Message<R>>,
    mail: &Receiver<Mail<R>>,
    max_batch: usize,
) -> (Vec<Message<R>>, bool) {
    let (waiting, mut batch) = (waiting.len(), waiting);
    match await_first(&batch, mail) {
        Ok(Some(first)) => {
            batch.reserve(max_batch.min(1 + mail.len()));
            batch.push(first);
        }
        Ok(None) => {}
        Err(NoMore) => return (batch, false),
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

struct NoMore;

/// Waits for mail until one of those that wait is due.
fn await_first<R: Request>(waiting: &[Message<R>], mail: &Receiver<Mail<R>>) -> Result<Option<Message<R>>, NoMore> {
    let now = Instant::now();
    let mail = match next_due(waiting, now) {
        None => mail.recv().map_err(|_| RecvTimeoutError::Disconnected),
        Some(due) if due <= now => return Ok(None),
        Some(due) => mail.recv_deadline(due).inspect_err(|error| {
            if *error == RecvTimeoutError::Disconnected {
                std::thread::sleep(due.saturating_duration_since(now));
            }
        }),
    };
    match mail {
        Ok(Mail::Message(first)) => Ok(Some(first)),
        Err(RecvTimeoutError::Timeout) => Ok(None),
        Ok(Mail::Stop) | Err(RecvTimeoutError::Disconnected) => Err(NoMore),
    }
}
