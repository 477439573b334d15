//! A database actor: a thread with a bounded mailbox that turns waiting messages into batches.
//!
//! The actor takes the first message and whatever else waits in its mailbox, up to `DB_MAX_BATCH`. It runs them as one
//! batch, in one transaction, on one connection, and answers each caller. Meanwhile the next batch gathers by itself.
//! Nothing waits for a batch to fill: under light load a batch is one message, and the heavier the load, the fuller the
//! batches and the cheaper each message.
//!
//! The actor checks out a connection before it claims any message. So a message whose caller has gone, or whose
//! deadline has passed, is dropped before it costs a statement. The snapshot of a batch starts after its last message
//! was claimed, so a caller always reads its own finished writes.
//!
//! Invariants:
//!
//! - No timer fills a batch, and no statement waits for one. Only a message that is set aside has a time.
//! - No row of a batch fails another row: an error of one row is that row's result.
//! - A batch that fails before its commit is rolled back, and its messages are tried once more in small parts. A batch
//!   that panics also discards its connection. A message that fails alone gets the error.
//! - No message is executed after its caller was told that it was not.
//!
//! The actor wakes one caller of each HTTP worker, and that caller wakes its neighbours. A wake-up from another thread
//! is a system call; from the same thread it is a push onto a queue.

use std::sync::Arc;

use crossbeam_channel::Receiver;

use super::executor::{Executor, Failed, Failure};
use super::gather;
use super::message::{MailboxItem, Message, answer_all};
use super::pace::Pace;
use super::request::Request;
use super::set_aside::Schedule;
use crate::domain::Error;
use crate::storage::database::connection::batch_error::BatchError;
use crate::storage::database::workers::Worker;

/// An actor of any lane.
pub(super) struct Actor {
    pub(super) executor: Executor,
    pub(super) max_batch: usize,
    /// How many messages may wait, and how many may be set aside.
    pub(super) max_waiting: usize,
    pub(super) pace: Arc<Pace>,
}

impl Actor {
    /// Runs the messages of the mailbox, until a `Stop` arrives or the thread was abandoned.
    pub(super) fn run<R: Request>(&self, mailbox: &Receiver<MailboxItem<R>>, worker: &Worker) {
        if worker.is_replacement() {
            self.pace.release_abandoned();
        }
        let (mut waiting, mut open) = (Vec::new(), true);
        // An abandoned actor ends at once: by then all callers that wait for it have given up.
        while (open || !waiting.is_empty()) && !worker.is_abandoned() {
            let (schedule, more) = gather::next(waiting, mailbox, self.max_batch);
            open &= more;
            if !open {
                worker.prepare_to_end();
            }
            waiting = self.serve_scheduled(schedule, worker);
        }
    }

    /// Serves the messages that run now. Returns those that wait. Messages that were just tried come first, before
    /// later ones with the same conflict keys.
    fn serve_scheduled<R: Request>(
        &self,
        Schedule { batch, alone, staying }: Schedule<R>,
        worker: &Worker,
    ) -> Vec<Message<R>> {
        let mut waiting = Vec::new();
        if !batch.is_empty() || alone.is_some() {
            let timer = self.pace.begin();
            waiting = self.executor.serve_in_parts(alone.into_iter().collect(), 1);
            waiting.extend(self.serve(batch));
            if worker.is_abandoned() {
                timer.abandon();
            }
        }
        let (mut waiting, staying) = (self.refuse_excess(waiting), self.refuse_excess(staying));
        let locked = waiting.iter().filter(|message| message.retry.is_some()).count();
        self.executor.metrics.set_aside(locked + staying.len());
        waiting.extend(staying);
        waiting
    }

    /// Keeps a bounded number of messages that wait, and as many that are set aside. Refuses the others.
    pub(super) fn refuse_excess<R: Request>(&self, waiting: Vec<Message<R>>) -> Vec<Message<R>> {
        let (mut in_line, mut set_aside) = (0, 0);
        let fits = |message: &Message<R>| {
            let count = if message.retry.is_some() { &mut set_aside } else { &mut in_line };
            *count += 1;
            *count <= self.max_waiting
        };
        let (waiting, refused): (Vec<_>, Vec<_>) = waiting.into_iter().partition(fits);
        answer_all(refused.into_iter().inspect(|_| self.executor.metrics.refused()), &Error::Overloaded);
        waiting
    }

    /// Answers the messages of a batch, and returns those that wait.
    pub(super) fn serve<R: Request>(&self, batch: Vec<Message<R>>) -> Vec<Message<R>> {
        let queues = batch.iter().any(|message| message.retry.is_some_and(|retry| retry.queues()));
        let locks = if queues { self.executor.locks.queue() } else { self.executor.locks.skip() };
        let result = self.executor.attempt(batch, locks, false);
        if queues {
            self.record_queueing(&result);
        }
        let (batch, failure) = match result {
            Ok(waiting) => return waiting,
            Err(failed) => failed,
        };
        match failure {
            // Again, now without the messages for which the batch has queued.
            Failure::Batch(BatchError::Locked(_)) if queues => self.executor.serve_in_parts(batch, usize::MAX),
            Failure::Batch(BatchError::Locked(_)) if batch.len() > 1 => {
                let half = batch.len() / 2;
                self.executor.serve_in_parts(batch, half)
            }
            // One message may be at fault.
            Failure::Batch(BatchError::NotExecuted(_)) | Failure::Panic => self.executor.serve_in_parts(batch, 1),
            Failure::NoConnection => {
                self.executor.refuse_all(batch);
                Vec::new()
            }
            Failure::Batch(_) => self.executor.finish(batch, &failure),
        }
    }

    /// Records whether a batch that queued for its users has got their locks.
    fn record_queueing<R: Request>(&self, result: &Result<Vec<Message<R>>, Failed<R>>) {
        match result {
            Ok(_) => self.executor.locks.record_queueing(true),
            Err((_, failure)) if failure.is_lock() => self.executor.locks.record_queueing(false),
            Err(_) => {}
        }
    }
}
