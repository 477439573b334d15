//! A lane: what it carries, and how a caller asks it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, TrySendError};

use super::pace::Pace;
use super::reply::{self, Answer, GaveUp, Reply};
use super::retry::Retry;
use super::touched::Touched;
use crate::domain::Error;
use crate::metrics::{Change, LaneMetrics};
use crate::storage::database::batch_error::BatchError;
use crate::storage::database::connection::{Connection, lock_patience};
use crate::storage::database::keeper::Keeper;
use crate::storage::database::locks::{LockWaits, Locks};
use crate::storage::database::readiness::Readiness;
use crate::storage::database::workers::Workers;
use crate::telemetry::Context;

/// What one lane carries: look-ups, page queries or writes.
pub(crate) trait Request: Send + Sized + 'static {
    type Answer: Send + 'static;

    /// What the caller hears when its message was taken and nobody can tell what came of it.
    const UNANSWERED: Error;

    /// Whether it changes anything.
    const CHANGES: bool = false;

    /// The largest batch that pays, where that is less than the configured one.
    const MAX_BATCH: usize = usize::MAX;

    /// Runs a batch in one transaction. What came of the requests is in their order. Only a request that touches what an
    /// earlier one touches may be deferred; so the first of a batch is either executed or locked.
    ///
    /// # Errors
    /// When the batch failed as a whole; what is wrong with one request is its own answer.
    fn run(connection: &mut Connection, batch: &[&Self], locks: Locks) -> Result<Vec<Ran<Self>>, BatchError>;

    /// What no other request may touch that is in the same statement, nor any that came later while this one waits.
    fn touches(&self) -> [Option<Touched<'_>>; 3] {
        [None, None, None]
    }

    /// What it has changed, if it succeeded.
    fn change(&self) -> Option<Change> {
        None
    }
}

/// What one request comes to.
pub(crate) type Outcome<R> = Result<<R as Request>::Answer, Error>;

/// What came of a request in one batch.
pub(crate) enum Ran<R: Request> {
    Executed(Outcome<R>),
    /// Not executed, because an earlier one of the batch touches the same: it belongs into the next batch.
    Deferred,
    /// Not executed, because somebody else holds what it needs.
    Locked,
}

/// A request on its way.
pub(crate) struct Message<R: Request> {
    pub(super) request: R,
    /// The request over HTTP or gRPC that it is sent for.
    pub(super) context: Option<Context>,
    pub(super) sent: Instant,
    pub(super) deadline: Instant,
    pub(super) reply: Reply<Outcome<R>>,
    /// If it is set aside: somebody else holds what it needs.
    pub(super) retry: Option<Retry>,
}

impl<R: Request> Message<R> {
    /// Whether its caller did not want to wait for as long as it might have.
    fn is_callers_deadline(&self) -> bool {
        self.context.and_then(|context| context.deadline) == Some(self.deadline)
    }

    /// Whether it is not executed any more.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.is_late(now, false) || self.reply.is_over()
    }

    /// When it is given up if it was in vain until now. A try that begins later could end after the deadline, and then its caller
    /// would not know whether it was executed. So there remains as long as a statement may wait for a lock, and half of that
    /// for a busy machine.
    pub(super) fn given_up(&self) -> Instant {
        let time = self.deadline.saturating_duration_since(self.sent);
        let last_try = lock_patience(time).max(LockWaits::LONGEST);
        self.deadline.checked_sub(last_try * 3 / 2).unwrap_or(self.sent)
    }

    /// Whether its deadline has passed, or is too near to try what was in vain until now: for this message, or for those
    /// before it.
    fn is_late(&self, now: Instant, is_table_locked: bool) -> bool {
        self.deadline <= now || (self.given_up() <= now && (is_table_locked || self.reply.is_set_aside()))
    }
}

/// Messages that an actor has taken, and when it did.
pub(super) struct Claimed<R: Request> {
    pub(super) messages: Vec<Message<R>>,
    pub(super) at: Instant,
}

/// Claims messages for execution, and drops those whose deadline has passed or whose caller is gone.
pub(super) fn claim<R: Request>(messages: Vec<Message<R>>, is_table_locked: bool, metrics: &LaneMetrics) -> Claimed<R> {
    let now = Instant::now();
    let claim = |message: Message<R>| {
        if message.is_late(now, is_table_locked) {
            if message.is_callers_deadline() {
                metrics.abandoned();
            } else {
                metrics.expired();
            }
            let error =
                if is_table_locked || message.reply.is_set_aside() { Error::Unavailable } else { Error::Overloaded };
            message.reply.send(Err(error));
            return None;
        }
        if !message.reply.take() {
            metrics.abandoned();
            return None;
        }
        Some(message)
    };
    Claimed { messages: messages.into_iter().filter_map(claim).collect(), at: now }
}

pub(super) enum Mail<R: Request> {
    Message(Message<R>),
    /// The last mail an actor reads.
    Stop,
}

/// The callers' end of a lane.
pub(crate) struct Lane<R: Request> {
    pub(super) mailbox: Sender<Mail<R>>,
    pub(super) pace: Arc<Pace>,
    pub(crate) workers: Workers,
    pub(super) keeper: Arc<Keeper>,
    /// How long a caller waits for its outcome, if it does not want to wait for less.
    pub(super) deadline: Duration,
    /// How long a message may be expected to wait for an actor.
    pub(super) max_wait: Duration,
    pub(super) metrics: LaneMetrics,
}

impl<R: Request> Clone for Lane<R> {
    fn clone(&self) -> Self {
        let (mailbox, pace, keeper) = (self.mailbox.clone(), Arc::clone(&self.pace), Arc::clone(&self.keeper));
        Self { mailbox, pace, workers: self.workers.clone(), keeper, metrics: self.metrics.clone(), ..*self }
    }
}

impl<R: Request> Lane<R> {
    /// Sends a request and waits for its outcome, at most as long as the deadline allows.
    pub(crate) async fn ask(&self, request: R) -> Outcome<R> {
        let sent = Instant::now();
        let context = Context::current();
        let own = sent + self.deadline;
        let deadline = context.and_then(|context| context.deadline).map_or(own, |callers| callers.min(own));
        let mut answer = self.send(request, context, sent, deadline).inspect_err(|_| self.metrics.refused())?;
        match tokio::time::timeout_at(deadline.into(), &mut answer).await {
            // An actor that lets go of a message without an answer has died over it.
            Ok(outcome) => outcome.unwrap_or(Err(R::UNANSWERED)),
            Err(_) => give_up::<R>(answer),
        }
    }

    /// Puts a request into the mailbox, if there is room and a prospect.
    fn send(
        &self,
        request: R,
        context: Option<Context>,
        sent: Instant,
        deadline: Instant,
    ) -> Result<Answer<Outcome<R>>, Error> {
        if let Some(error) = self.keeper.refusal(R::CHANGES) {
            return Err(error);
        }
        if self.workers.are_gone() {
            return Err(Error::Unavailable);
        }
        if self.pace.expected_wait(self.mailbox.len(), sent) > self.max_wait {
            return Err(self.refusal());
        }
        let (reply, answer) = reply::pair();
        match self.mailbox.try_send(Mail::Message(Message { request, context, sent, deadline, reply, retry: None })) {
            Ok(()) => Ok(answer),
            Err(TrySendError::Full(_)) => Err(self.refusal()),
            Err(TrySendError::Disconnected(_)) => Err(Error::Unavailable),
        }
    }

    /// Why there is no room: too many requests, or no database for them.
    fn refusal(&self) -> Error {
        match self.keeper.readiness() {
            Readiness::Ready => Error::Overloaded,
            Readiness::Failing(_) => Error::Unavailable,
        }
    }
}

fn give_up<R: Request>(answer: Answer<Outcome<R>>) -> Outcome<R> {
    match answer.give_up() {
        GaveUp::NeverTaken => Err(Error::Overloaded),
        GaveUp::SetAside => Err(Error::Unavailable),
        GaveUp::Taken => Err(R::UNANSWERED),
        GaveUp::Answered(outcome) => outcome,
    }
}
