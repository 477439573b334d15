use std::sync::Arc;
use std::time::{Duration, Instant};

use super::actor::Actor;
use super::executor::Executor;
use super::failure_log::FailureLog;
use super::gather::gather;
use super::message::{MailboxItem, Message};
use super::pace::Pace;
use super::reply::{Answer, GaveUp, pair};
use super::request::{Execution, Outcome, Request, Sent};
use crate::domain::Error;
use crate::metrics::Metrics;
use crate::storage::database::connection::Connection;
use crate::storage::database::connection::batch_error::BatchError;
use crate::storage::database::connection::locks::{LockPolicy, LockTimeouts};
use crate::storage::database::pool::Pool;
use crate::storage::database::settings::Settings;
use crate::storage::database::settings::database_url::DatabaseUrl;
use crate::storage::database::settings::indexed_attributes::IndexedAttributes;

/// What a test sends. Each kind has one effect on its batch.
#[derive(Clone, Copy)]
enum Probe {
    Fine,
    Panics,
    Fails,
    LosesItsAnswer,
    /// Is deferred unless it is the first of a batch.
    First,
    /// Finds its user locked.
    Locked,
    /// Waits for a lock, and its whole batch with it.
    Waits,
}

impl Request for Probe {
    /// The size of the batch.
    type Answer = usize;

    const UNANSWERED: Error = Error::OutcomeUnknown;

    fn run(_: &mut Connection, batch: &[&Self], _: LockPolicy) -> Result<Vec<Execution<Self>>, BatchError> {
        for probe in batch {
            match probe {
                Self::Fine | Self::First | Self::Locked => {}
                Self::Waits => return Err(BatchError::Locked(diesel::result::Error::RollbackTransaction)),
                Self::Panics => panic!("as it should"),
                Self::Fails => return Err(diesel::result::Error::RollbackTransaction.into()),
                Self::LosesItsAnswer => {
                    return Err(BatchError::OutcomeUnknown("lost".into()));
                }
            }
        }
        let ran = |(at, probe): (usize, &&Self)| match probe {
            Self::First if at > 0 => Execution::Deferred,
            Self::Locked => Execution::Locked,
            _ => Execution::Executed(Ok(batch.len())),
        };
        Ok(batch.iter().enumerate().map(ran).collect())
    }
}

fn actor(folder: &tempfile::TempDir) -> Actor {
    let timeout = Duration::from_secs(5);
    let settings = Settings {
        url: DatabaseUrl::Sqlite(folder.path().join("users.db")),
        pool_size: 1,
        lookup_actors: 1,
        page_actors: 1,
        mailbox: 1,
        max_batch: 1,
        deadline: timeout,
        max_wait: timeout,
        connect_timeout: timeout,
        auto_migrate: false,
        user_cache_bytes: 0,
        max_staleness: Duration::ZERO,
        attributes_schema: None,
        attributes_indexed: IndexedAttributes::default(),
        builds_indexes: false,
    };
    let metrics = Metrics::new("sqlite").unwrap();
    let lane = metrics.lane("probes", 1, settings.mailbox);
    let pace = Arc::new(Pace::new(1, settings.max_batch));
    let executor = Executor {
        pool: Pool::new(&settings, &metrics, None).unwrap(),
        metrics: lane,
        failures: FailureLog::default(),
        locks: LockTimeouts::new(timeout / 4),
        on_hang: Arc::new(|| {}),
        lane: "probes",
        system: "sqlite",
    };
    Actor { executor, max_batch: 2, max_waiting: 2, pace }
}

fn send(request: Probe, timeout: Duration) -> (Message<Probe>, Answer<Sent<Probe>>) {
    let (reply, answer) = pair();
    let sent = Instant::now();
    (Message { request, context: None, sent, deadline: sent + timeout, reply, retry: None }, answer)
}

fn send_all(probes: &[Probe]) -> (Vec<Message<Probe>>, Vec<Answer<Sent<Probe>>>) {
    probes.iter().map(|probe| send(*probe, Duration::from_mins(1))).unzip()
}

async fn outcomes_of(probes: &[Probe]) -> Vec<Outcome<Probe>> {
    let folder = tempfile::tempdir().unwrap();
    let (messages, answers) = send_all(probes);
    actor(&folder).serve(messages);
    let mut outcomes = Vec::new();
    for answer in answers {
        outcomes.push(answer.await.unwrap().0);
    }
    outcomes
}

#[tokio::test]
async fn what_waits_together_runs_together() {
    assert_eq!(outcomes_of(&[Probe::Fine; 3]).await, [Ok(3), Ok(3), Ok(3)]);
}

#[tokio::test]
async fn a_panic_affects_only_its_own_message() {
    let outcomes = outcomes_of(&[Probe::Fine, Probe::Panics, Probe::Fine]).await;
    assert_eq!(outcomes, [Ok(1), Err(Error::Internal), Ok(1)]);
}

#[tokio::test]
async fn a_failure_before_commit_affects_only_its_own_message() {
    let outcomes = outcomes_of(&[Probe::Fails, Probe::Fine]).await;
    assert_eq!(outcomes, [Err(Error::Internal), Ok(1)]);
}

#[tokio::test]
async fn after_a_lost_response_nothing_is_repeated() {
    let outcomes = outcomes_of(&[Probe::Fine, Probe::LosesItsAnswer]).await;
    assert_eq!(outcomes, [Err(Error::OutcomeUnknown), Err(Error::OutcomeUnknown)]);
}

#[tokio::test]
async fn late_and_abandoned_messages_are_not_executed() {
    let folder = tempfile::tempdir().unwrap();
    let (late, late_answer) = send(Probe::Panics, Duration::ZERO);
    let (gone, gone_answer) = send(Probe::Panics, Duration::from_mins(1));
    let (fine, fine_answer) = send(Probe::Fine, Duration::from_mins(1));
    drop(gone_answer);
    actor(&folder).serve(vec![late, gone, fine]);
    assert_eq!(late_answer.await, Some((Err(Error::Overloaded), None)));
    let (outcome, ran) = fine_answer.await.unwrap();
    assert_eq!((outcome, ran.map(|ran| ran.batch)), (Ok(1), Some(1)));
}

#[tokio::test]
async fn deferred_messages_wait_for_the_next_batch() {
    let folder = tempfile::tempdir().unwrap();
    let (messages, mut answers) = send_all(&[Probe::First, Probe::First, Probe::Fine, Probe::First]);
    let actor = actor(&folder);
    let waiting = actor.serve(messages);
    assert_eq!(waiting.len(), 2);
    let gives_up = answers.pop().unwrap();
    assert_eq!(gives_up.give_up(), GaveUp::NeverClaimed);
    assert!(actor.serve(waiting).is_empty());
    let mut outcomes = Vec::new();
    for answer in answers {
        outcomes.push(answer.await.unwrap().0);
    }
    assert_eq!(outcomes, [Ok(4), Ok(1), Ok(4)]);
}

#[tokio::test]
async fn a_message_for_a_locked_user_is_set_aside_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (messages, mut answers) = send_all(&[Probe::Fine, Probe::Locked]);
    let actor = actor(&folder);
    let waiting = actor.serve(messages);
    assert!(waiting[0].retry.unwrap().queues(), "at first it queues");
    let waiting = actor.serve(waiting);
    let retry = waiting[0].retry.unwrap();
    assert!(!retry.queues() && !retry.alone && waiting.len() == 1);
    assert_eq!(answers.pop().unwrap().give_up(), GaveUp::SetAside);
    assert_eq!(answers.pop().unwrap().await.unwrap().0, Ok(2));
}

#[tokio::test]
async fn the_message_that_a_batch_waits_for_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let mut probes = [Probe::Fine; 100];
    probes[42] = Probe::Waits;
    let (messages, mut answers) = send_all(&probes);
    let waiting = actor(&folder).serve(messages);
    assert!(waiting.len() == 1 && waiting[0].retry.unwrap().alone);
    let found = answers.remove(42);
    let mut batches = 0.0;
    for answer in answers {
        let Some((Ok(size), _)) = answer.await else { panic!("the others are executed") };
        batches += 1.0 / f64::from(u32::try_from(size).unwrap());
    }
    assert!(batches < 20.0, "{batches} batches");
    assert_eq!(found.give_up(), GaveUp::SetAside);
}

#[tokio::test]
async fn a_message_that_is_retried_until_its_deadline_gets_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let (messages, mut answers) = send_all(&[Probe::Locked]);
    let actor = actor(&folder);
    // At first it queues for the lock; after that it is set aside.
    let mut waiting = actor.serve(actor.serve(messages));
    waiting[0].deadline = Instant::now();
    assert!(actor.serve(waiting).is_empty());
    assert_eq!(answers.pop().unwrap().await, Some((Err(Error::Unavailable), None)));
}

#[test]
fn waiting_messages_take_no_slots_of_new_ones() {
    let (mailbox, mail) = crossbeam_channel::unbounded();
    let (waiting, _answers) = send_all(&[Probe::First; 3]);
    let (messages, _more_answers) = send_all(&[Probe::Fine; 5]);
    for message in messages {
        mailbox.send(MailboxItem::Message(message)).ok().unwrap();
    }
    let (batch, _) = gather(waiting, &mail, 3);
    let kinds = Vec::from_iter(batch.iter().map(|message| matches!(message.request, Probe::First)));
    assert_eq!(kinds, [true, true, true, false, false, false]);
}

#[tokio::test]
async fn at_most_one_batch_waits() {
    let folder = tempfile::tempdir().unwrap();
    let (messages, mut answers) = send_all(&[Probe::First; 3]);
    assert_eq!(actor(&folder).refuse_excess(messages).len(), 2);
    assert_eq!(answers.pop().unwrap().await, Some((Err(Error::Overloaded), None)));
}
