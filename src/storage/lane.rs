//! A lane: a bounded mailbox and the actors that empty it.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use super::connection::Connection;
use super::keeper::Keeper;
use super::pool::Pool;
use super::reply::{self, Answer, GaveUp, Reply};
use super::{Settings, actor};
use crate::users::Error;

/// What one lane carries: look-ups, page queries or writes.
pub(super) trait Request: Send + Sized + 'static {
    type Answer: Send + 'static;

    /// What the caller hears when its deadline passes after the message was taken.
    const TAKEN_TOO_LONG: Error;

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

/// Why a batch failed as a whole.
#[derive(Debug, thiserror::Error)]
pub(super) enum BatchError {
    /// Rolled back, or never begun.
    #[error("not executed: {0}")]
    NotExecuted(#[from] diesel::result::Error),
    /// COMMIT was sent and its answer was lost.
    #[error("outcome of COMMIT unknown: {0}")]
    OutcomeUnknown(diesel::result::Error),
}

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
            Ok(outcome) => outcome.unwrap_or(Err(R::TAKEN_TOO_LONG)),
            Err(_) => give_up::<R>(answer),
        }
    }
}

fn give_up<R: Request>(answer: Answer<Outcome<R>>) -> Outcome<R> {
    match answer.give_up() {
        GaveUp::NeverTaken => Err(Error::Overloaded),
        GaveUp::Taken => Err(R::TAKEN_TOO_LONG),
        GaveUp::Answered(outcome) => outcome,
    }
}

/// The threads of all lanes.
#[derive(Default)]
pub(super) struct Actors {
    threads: Vec<JoinHandle<()>>,
    stops: Vec<Box<dyn FnOnce(Instant) + Send>>,
}

impl Actors {
    /// Opens a lane with that many actors.
    pub(super) fn open_lane<R: Request>(
        &mut self,
        name: &'static str,
        actors: usize,
        settings: &Settings,
        pool: &Pool,
        keeper: &Arc<Keeper>,
    ) -> std::io::Result<Lane<R>> {
        let (mailbox, mail): (Sender<Mail<R>>, Receiver<Mail<R>>) = bounded(settings.mailbox);
        for _ in 0..actors {
            self.threads.push(actor::spawn(name, mail.clone(), pool.clone(), settings.max_batch.min(R::MAX_BATCH))?);
            let mailbox = mailbox.clone();
            self.stops.push(Box::new(move |until| {
                // A full mailbox of an actor that hangs must not hold up the end of the process.
                let _ = mailbox.send_deadline(Mail::Stop, until);
            }));
        }
        Ok(Lane { mailbox, patience: settings.deadline, keeper: Arc::clone(keeper) })
    }

    /// Lets every actor finish its mailbox; false when one had not after `patience`. Blocks.
    pub(super) fn stop(self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        for stop in self.stops {
            stop(until);
        }
        while self.threads.iter().any(|thread| !thread.is_finished()) {
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }
}
