//! A lane: what it carries, and how a caller sends a message to it.
//!
//! There are five lanes, for look-ups, page queries, writes, atomic batches and imports. Each has its own mailbox and actors, so a slow page
//! query never delays a look-up. Page queries gain nothing from each other, and an atomic batch or a chunk of an
//! import is a transaction by itself, so each of these is a separate batch.
//!
//! `try_send` puts a message into the mailbox. It answers `Overloaded` at once if the mailbox is full, or if the lane's
//! pace says that the message would wait longer than `DB_MAX_WAIT`. A message carries the change or the query, a
//! deadline, and the actor's end of a reply. Keys are already folded, on the caller's thread and not on the actor's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, TrySendError};

use super::message::{MailboxItem, Message};
use super::pace::Pace;
use super::reply::{self, Answer, GaveUp};
use super::request::{Outcome, Request, Sent};
use crate::domain::Error;
use crate::metrics::LaneMetrics;
use crate::storage::database::keeper::readiness::Readiness;
use crate::storage::database::keeper::state::Keeper;
use crate::storage::database::workers::Workers;
use crate::telemetry::{Context, note_ran};

/// The callers' end of a lane.
pub(crate) struct Lane<R: Request> {
    pub(super) mailbox: Sender<MailboxItem<R>>,
    pub(super) pace: Arc<Pace>,
    pub(crate) workers: Workers,
    pub(super) keeper: Arc<Keeper>,
    /// How long a caller waits for its outcome, unless its own deadline is earlier.
    pub(super) deadline: Duration,
    /// The longest expected wait for an actor with which a message is still admitted.
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
    /// Sends a request, and waits for its outcome until the deadline.
    pub(crate) async fn ask(&self, request: R) -> Outcome<R> {
        let sent = Instant::now();
        let context = Context::current();
        let lanes = sent + self.deadline;
        let deadline = context.and_then(|context| context.deadline).map_or(lanes, |callers| callers.min(lanes));
        let mut answer = self.send(request, context, sent, deadline).inspect_err(|_| self.metrics.refused())?;
        match tokio::time::timeout_at(deadline.into(), &mut answer).await {
            Ok(Some(sent)) => outcome_of::<R>(sent),
            // An actor that drops a message without an answer has died while it executed the message.
            Ok(None) => Err(R::UNANSWERED),
            Err(_) => give_up::<R>(answer),
        }
    }

    /// How long a caller waits for its outcome.
    pub(crate) const fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Whether messages wait in the mailbox.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.mailbox.is_empty()
    }

    /// Refuses a request that needs no message, as the lane would refuse a message.
    pub(crate) fn admit(&self) -> Result<(), Error> {
        self.check_database().inspect_err(|_| self.metrics.refused())
    }

    /// Whether a message could succeed, as far as that is known.
    fn check_database(&self) -> Result<(), Error> {
        if let Some(error) = self.keeper.refusal(R::CHANGES) {
            return Err(error);
        }
        if self.workers.all_gone() { Err(Error::Unavailable) } else { Ok(()) }
    }

    /// Puts a request into the mailbox, unless the request cannot succeed in time.
    fn send(
        &self,
        request: R,
        context: Option<Context>,
        sent: Instant,
        deadline: Instant,
    ) -> Result<Answer<Sent<R>>, Error> {
        self.check_database()?;
        if self.pace.expected_wait(self.mailbox.len(), sent) > self.max_wait {
            return Err(self.overload_error());
        }
        let (reply, answer) = reply::pair();
        let message = Message { request, context, sent, deadline, reply, retry: None };
        match self.mailbox.try_send(MailboxItem::Message(message)) {
            Ok(()) => Ok(answer),
            Err(TrySendError::Full(_)) => Err(self.overload_error()),
            Err(TrySendError::Disconnected(_)) => Err(Error::Unavailable),
        }
    }

    /// Why the lane is full: there are too many requests, or there is no database for them.
    fn overload_error(&self) -> Error {
        match self.keeper.readiness() {
            Readiness::Ready => Error::Overloaded,
            Readiness::Failing(_) => Error::Unavailable,
        }
    }
}

fn outcome_of<R: Request>((outcome, ran): Sent<R>) -> Outcome<R> {
    if let Some(ran) = ran {
        note_ran(ran);
    }
    outcome
}

fn give_up<R: Request>(answer: Answer<Sent<R>>) -> Outcome<R> {
    match answer.give_up() {
        GaveUp::NeverClaimed => Err(Error::Overloaded),
        GaveUp::SetAside => Err(Error::Unavailable),
        GaveUp::Claimed => Err(R::UNANSWERED),
        GaveUp::Answered(sent) => outcome_of::<R>(sent),
    }
}
