//! Runs a batch once: checks out a connection, claims the messages, runs them, and answers them.
//!
//! - The connection comes first, and on SQLite the write lock: until both are there, a caller that gives up knows that
//!   nothing was executed.
//! - No message is executed after its caller was told that it was not.
//! - After a panic the connection is discarded; after another failure it returns to the pool only if it is sound.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::failure_log::FailureLog;
use super::locked::set_aside_user;
use super::message::{Claimed, Message, answer_all, claim, drop_late};
use super::reply;
use super::request::{Execution, Request};
use crate::domain::Error;
use crate::metrics::{BatchFailure, LaneMetrics};
use crate::storage::database::connection::batch_error::BatchError;
use crate::storage::database::connection::locks::{LockPolicy, LockTimeouts};
use crate::storage::database::pool::{Pool, Pooled};
use crate::storage::database::workers::abandoned_calls::OnHang;
use crate::telemetry::{BatchSpan, Ran};

/// Runs the batches of one actor.
pub(super) struct Executor {
    pub(super) pool: Pool,
    pub(super) metrics: LaneMetrics,
    pub(super) failures: FailureLog,
    pub(super) locks: LockTimeouts,
    pub(super) on_hang: OnHang,
    /// The lane's name.
    pub(super) lane: &'static str,
    /// The database's name in OpenTelemetry's conventions.
    pub(super) system: &'static str,
}

/// Why a batch failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("had no connection")]
    NoConnection,
    #[error("failed, {0}")]
    Batch(BatchError),
    #[error("panicked")]
    Panic,
}

impl Failure {
    /// Whether the messages are tried once more.
    pub(super) const fn is_retried(&self) -> bool {
        matches!(self, Self::Batch(BatchError::NotExecuted(_)) | Self::Panic) || self.is_lock()
    }

    pub(super) const fn is_lock(&self) -> bool {
        matches!(self, Self::Batch(BatchError::Locked(_)))
    }
}

/// A batch and why it failed.
pub(super) type Failed<R> = (Vec<Message<R>>, Failure);

impl Executor {
    /// Claims the messages of a batch and runs them on one connection. Messages that can no longer be claimed cost
    /// nothing. Returns the messages that were not executed; they wait for the next batch.
    ///
    /// A failed batch is returned with the reason. The reason has been logged, unless the batch is a single message
    /// that is tried once more.
    pub(super) fn attempt<R: Request>(
        &self,
        batch: Vec<Message<R>>,
        locks: LockPolicy,
        is_last: bool,
    ) -> Result<Vec<Message<R>>, Failed<R>> {
        if batch.is_empty() {
            return Ok(batch);
        }
        let mut pooled = match self.pool.acquire(&self.on_hang) {
            Ok(pooled) => pooled,
            Err(error) => {
                self.failures.log(&batch, &format!("no database connection for a batch of {}: {error}", batch.len()));
                return Err(self.count_failure(batch, Failure::NoConnection));
            }
        };
        let (span, begun) = (BatchSpan::start(self.system, self.lane, batch.iter().any(is_sampled)), Instant::now());
        let write_lock = match if R::CHANGES { pooled.connection.begin_batch() } else { Ok(None) } {
            Ok(write_lock) => write_lock,
            Err(error) => {
                self.locks.record_statement(false, begun.elapsed());
                // The transaction that did not begin.
                let _ = span.transaction(self.system, || Err::<(), _>(&error));
                span.serves(batch.iter().map(|message| message.context));
                let failure = Failure::Batch(BatchError::NotExecuted(error));
                let (batch, failure) = self.fail(batch, pooled, failure, is_last);
                return Err((drop_late(batch, self.locks.is_table_locked(), &self.metrics), failure));
            }
        };
        let claimed = claim(batch, self.locks.is_table_locked(), &self.metrics);
        if claimed.messages.is_empty() {
            if R::CHANGES {
                self.pool.check_in(pooled);
            }
            return Ok(claimed.messages);
        }
        let result = span.transaction(self.system, || run(&mut pooled, &claimed.messages, locks));
        drop(write_lock);
        let took = claimed.at.elapsed();
        self.locks.record_statement(result.is_ok(), took);
        self.metrics.transaction(took);
        let contexts = claimed.messages.iter().map(|message| message.context);
        match result {
            Ok(executions) => {
                drop(pooled);
                let served =
                    contexts.zip(&executions).filter(|(_, execution)| matches!(execution, Execution::Executed(_)));
                span.serves(served.map(|(context, _)| context));
                Ok(self.answer_executed(claimed, executions, locks, took))
            }
            Err(failure) => {
                span.serves(contexts);
                Err(self.fail(claimed.messages, pooled, failure, is_last))
            }
        }
    }

    /// Ends an attempt that failed.
    fn fail<R: Request>(&self, batch: Vec<Message<R>>, pooled: Pooled, failure: Failure, is_last: bool) -> Failed<R> {
        if failure.is_retried() {
            // Before the connection is checked, which may take long: a caller that gives up meanwhile must learn that
            // its message was not executed.
            for message in &batch {
                message.reply.set_aside();
            }
        }
        check_in(&self.pool, pooled, &failure);
        if !failure.is_lock() && (is_last || batch.len() > 1 || !failure.is_retried()) {
            self.failures.log(&batch, &format!("a batch of {} {failure}", batch.len()));
        }
        self.count_failure(batch, failure)
    }

    fn count_failure<R: Request>(&self, batch: Vec<Message<R>>, failure: Failure) -> Failed<R> {
        self.metrics.failed(match failure {
            Failure::NoConnection => BatchFailure::NoConnection,
            Failure::Batch(BatchError::NotExecuted(_)) => BatchFailure::NotExecuted,
            Failure::Batch(BatchError::OutcomeUnknown(_)) => BatchFailure::OutcomeUnknown,
            Failure::Panic => BatchFailure::Panic,
            // Counted per message, once it is known which message waits for the lock.
            Failure::Batch(BatchError::Locked(_)) => return (batch, failure),
        });
        (batch, failure)
    }

    /// Answers executed messages. Returns the others; those that are locked are set aside. Counts before it answers, so
    /// that a caller finds its own request counted.
    fn answer_executed<R: Request>(
        &self,
        Claimed { messages, at }: Claimed<R>,
        executions: Vec<Execution<R>>,
        locks: LockPolicy,
        took: Duration,
    ) -> Vec<Message<R>> {
        let executed = executions.iter().filter(|execution| matches!(execution, Execution::Executed(_))).count();
        if executed > 0 {
            self.metrics.executed(u32::try_from(executed).unwrap_or(u32::MAX));
        }
        let mut waiting = Vec::new();
        let answers = messages.into_iter().zip(executions).filter_map(|(mut message, execution)| {
            match execution {
                Execution::Executed(outcome) => {
                    let queue = at.saturating_duration_since(message.sent);
                    self.metrics.waited(queue);
                    if let Ok(answer) = &outcome {
                        message.request.count_changes(answer, |change| self.metrics.changed(change));
                    }
                    return Some((message.reply, (outcome, Some(Ran { queue, batch: executed, database: took }))));
                }
                Execution::Deferred => {
                    message.retry = None;
                    message.reply.put_back();
                    waiting.push(message);
                }
                Execution::Locked => waiting.push(set_aside_user(message, locks, &self.metrics, &self.failures)),
            }
            None
        });
        reply::send_all(answers);
        waiting
    }

    /// Answers messages for which there is no database.
    pub(super) fn refuse_all<R: Request>(&self, messages: impl IntoIterator<Item = Message<R>>) {
        answer_all(messages.into_iter().inspect(|_| self.metrics.refused()), &Error::Unavailable);
    }
}

/// Runs claimed messages. A single message runs in its own context, so that log lines name its request.
fn run<R: Request>(pooled: &mut Pooled, batch: &[Message<R>], locks: LockPolicy) -> Result<Vec<Execution<R>>, Failure> {
    let requests = Vec::from_iter(batch.iter().map(|message| &message.request));
    let mut run = || catch_unwind(AssertUnwindSafe(|| R::run(&mut pooled.connection, &requests, locks)));
    let result = match batch {
        [Message { context: Some(context), .. }] => context.run(run),
        _ => run(),
    };
    let executions = result.map_err(|_| Failure::Panic)?.map_err(Failure::Batch)?;
    if R::CHANGES {
        // A commit into a displaced file may be lost.
        pooled.check_files().map_err(|displaced| Failure::Batch(BatchError::OutcomeUnknown(displaced.into())))?;
    }
    Ok(executions)
}

fn is_sampled<R: Request>(message: &Message<R>) -> bool {
    message.context.is_some_and(|context| context.span().is_some())
}

/// Returns the connection of a failed batch to the pool, unless it is unsound.
fn check_in(pool: &Pool, mut pooled: Pooled, failure: &Failure) {
    match failure {
        // The panic may have left half of a response unread.
        Failure::Panic => pooled.discard(),
        Failure::Batch(BatchError::NotExecuted(error)) => pool.check_in_failed(pooled, error),
        Failure::Batch(BatchError::Locked(_)) => pool.check_in(pooled),
        Failure::Batch(BatchError::OutcomeUnknown(_)) | Failure::NoConnection => {
            pooled.discard();
            pool.end_generation();
        }
    }
}
