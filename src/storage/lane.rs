//! A lane: what it carries, and how a caller asks it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, TrySendError};

use super::batch_error::BatchError;
use super::connection::Connection;
use super::keeper::Keeper;
use super::reply::{self, Answer, GaveUp, Reply};
use crate::users::Error;

/// What one lane carries: look-ups, page queries or writes.
pub(super) trait Request: Send + Sized + 'static {
    type Answer: Send + 'static;

    /// What the caller hears when its message was taken and nobody can tell what came of it.
    const UNANSWERED: Error;

    /// The largest batch that pays, where that is less than the configured one.
    const MAX_BATCH: usize = usize::MAX;

    /// Runs a batch in one transaction. The answers are in the order of the requests.
    ///
    /// # Errors
    /// When the batch failed as a whole; what is wrong with one request is its own answer.
    fn run(connection: &mut Connection, batch: &[&Self]) -> Result<Vec<Outcome<Self>>, BatchError>;
}

/// What one request comes to.
pub(super) type Outcome<R> = Result<<R as Request>::Answer, Error>;

/// A request on its way.
pub(super) struct Message<R: Request> {
    pub(super) request: R,
    pub(super) deadline: Instant,
    pub(super) reply: Reply<Outcome<R>>,
}

impl<R: Request> Message<R> {
    /// Claims the message for execution; `None` when its deadline has passed or its caller is gone.
    pub(super) fn take(self) -> Option<Self> {
        if self.deadline <= Instant::now() {
            self.reply.send(Err(Error::Overloaded));
            return None;
        }
        self.reply.take().then_some(self)
    }
}

pub(super) enum Mail<R: Request> {
    Message(Message<R>),
    /// The last mail an actor reads.
    Stop,
}

/// The callers' end of a lane.
pub(super) struct Lane<R: Request> {
    mailbox: Sender<Mail<R>>,
    patience: Duration,
    keeper: Arc<Keeper>,
}

impl<R: Request> Clone for Lane<R> {
    fn clone(&self) -> Self {
        Self { mailbox: self.mailbox.clone(), patience: self.patience, keeper: Arc::clone(&self.keeper) }
    }
}

impl<R: Request> Lane<R> {
    /// A lane whose mail goes to this mailbox, and whose callers wait so long.
    pub(super) const fn new(mailbox: Sender<Mail<R>>, patience: Duration, keeper: Arc<Keeper>) -> Self {
        Self { mailbox, patience, keeper }
    }

    /// Sends a request and waits for its outcome, at most as long as the deadline allows.
    pub(super) async fn ask(&self, request: R) -> Outcome<R> {
        if !self.keeper.is_migrated() {
            return Err(Error::Unavailable);
        }
        let deadline = Instant::now() + self.patience;
        let (reply, mut answer) = reply::pair();
        self.mailbox.try_send(Mail::Message(Message { request, deadline, reply })).map_err(
            |refused| match refused {
                TrySendError::Full(_) => Error::Overloaded,
                TrySendError::Disconnected(_) => Error::Unavailable,
            },
        )?;
        match tokio::time::timeout_at(deadline.into(), &mut answer).await {
            // An actor that lets go of a message without an answer has died over it.
            Ok(outcome) => outcome.unwrap_or(Err(R::UNANSWERED)),
            Err(_) => give_up::<R>(answer),
        }
    }
}

fn give_up<R: Request>(answer: Answer<Outcome<R>>) -> Outcome<R> {
    match answer.give_up() {
        GaveUp::NeverTaken => Err(Error::Overloaded),
        GaveUp::Taken => Err(R::UNANSWERED),
        GaveUp::Answered(outcome) => outcome,
    }
}
