use std::time::{Duration, Instant};

use super::mail::gather;
use super::*;
use crate::metrics::Metrics;
use crate::storage::database::connection::Connection;
use crate::storage::database::database_url::DatabaseUrl;
use crate::storage::database::settings::Settings;
use crate::storage::engine::lane::Outcome;
use crate::storage::engine::reply::{Answer, GaveUp, pair};

/// What a test sends: each kind does one thing to the batch that it is in.
#[derive(Clone, Copy)]
enum Probe {
    Fine,
    Panics,
    Fails,
    LosesItsAnswer,
    /// Wants to be the first of a batch.
    First,
    /// Its user is locked.
    Locked,
    /// It waits for a lock, and all others with it.
    Waits,
}

impl Request for Probe {
    /// The size of the batch.
    type Answer = usize;

    const UNANSWERED: Error = Error::OutcomeUnknown;

    fn run(_: &mut Connection, batch: &[&Self], _: Locks) -> Result<Vec<Ran<Self>>, BatchError> {
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
            Self::First if at > 0 => Ran::Deferred,
            Self::Locked => Ran::Locked,
            _ => Ran::Executed(Ok(batch.len())),
        };
        Ok(batch.iter().enumerate().map(ran).collect())
    }
}

fn actor(folder: &tempfile::TempDir) -> Actor {
    let patience = Duration::from_secs(5);
    let settings = Settings {
        url: DatabaseUrl::Sqlite(folder.path().join("users.db")),
        pool_size: 1,
        lookup_actors: 1,
        page_actors: 1,
        mailbox: 1,
        max_batch: 1,
        deadline: patience,
        max_wait: patience,
        connect_timeout: patience,
        auto_migrate: false,
    };
    let metrics = Metrics::new("sqlite").unwrap();
    let lane = metrics.lane("probes", 1, settings.mailbox);
    let pace = Arc::new(Pace::new(1, settings.max_batch));
    Actor {
        pool: Pool::new(&settings, &metrics).unwrap(),
        max_batch: 2,
        pace,
        metrics: lane,
        failures: Throttle::default(),
        locks: LockWaits::new(patience / 4),
        on_hang: Arc::new(|| {}),
        lane: "probes",
        system: "sqlite",
    }
}

fn send(request: Probe, patience: Duration) -> (Message<Probe>, Answer<Outcome<Probe>>) {
    let (reply, answer) = pair();
    let sent = Instant::now();
    (Message { request, context: None, sent, deadline: sent + patience, reply, retry: None }, answer)
}

fn send_all(probes: &[Probe]) -> (Vec<Message<Probe>>, Vec<Answer<Outcome<Probe>>>) {
    probes.iter().map(|probe| send(*probe, Duration::from_mins(1))).unzip()
}

async fn outcomes_of(probes: &[Probe]) -> Vec<Outcome<Probe>> {
    let folder = tempfile::tempdir().unwrap();
    let (messages, answers) = send_all(probes);
    actor(&folder).serve(messages);
    let mut outcomes = Vec::new();
    for answer in answers {
        outcomes.push(answer.await.unwrap());
    }
    outcomes
}

#[tokio::test]
async fn what_waits_together_runs_together() {
    assert_eq!(outcomes_of(&[Probe::Fine; 3]).await, [Ok(3), Ok(3), Ok(3)]);
}

#[tokio::test]
async fn a_panic_is_its_own_messages() {
    let outcomes = outcomes_of(&[Probe::Fine, Probe::Panics, Probe::Fine]).await;
    assert_eq!(outcomes, [Ok(1), Err(Error::Internal), Ok(1)]);
}

#[tokio::test]
async fn a_failure_before_commit_is_its_own_messages() {
    let outcomes = outcomes_of(&[Probe::Fails, Probe::Fine]).await;
    assert_eq!(outcomes, [Err(Error::Internal), Ok(1)]);
}

#[tokio::test]
async fn a_lost_answer_is_everybodys_and_nothing_is_repeated() {
    let outcomes = outcomes_of(&[Probe::Fine, Probe::LosesItsAnswer]).await;
    assert_eq!(outcomes, [Err(Error::OutcomeUnknown), Err(Error::OutcomeUnknown)]);
}

#[tokio::test]
async fn whoever_is_late_or_gone_is_not_in_the_batch() {
    let folder = tempfile::tempdir().unwrap();
    let (late, late_answer) = send(Probe::Panics, Duration::ZERO);
    let (gone, gone_answer) = send(Probe::Panics, Duration::from_mins(1));
    let (fine, fine_answer) = send(Probe::Fine, Duration::from_mins(1));
    drop(gone_answer);
    actor(&folder).serve(vec![late, gone, fine]);
    assert_eq!(late_answer.await, Some(Err(Error::Overloaded)));
    assert_eq!(fine_answer.await, Some(Ok(1)));
}

#[tokio::test]
async fn whoever_is_not_executed_waits_for_the_next_batch() {
    let folder = tempfile::tempdir().unwrap();
    let (messages, mut answers) = send_all(&[Probe::First, Probe::First, Probe::Fine, Probe::First]);
    let actor = actor(&folder);
    let waiting = actor.serve(messages);
    assert_eq!(waiting.len(), 2);
    let gives_up = answers.pop().unwrap();
    assert_eq!(gives_up.give_up(), GaveUp::NeverTaken);
    assert!(actor.serve(waiting).is_empty());
    let mut outcomes = Vec::new();
    for answer in answers {
        outcomes.push(answer.await.unwrap());
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
    assert_eq!(answers.pop().unwrap().await, Some(Ok(2)));
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
        let Some(Ok(size)) = answer.await else { panic!("the others go on") };
        batches += 1.0 / f64::from(u32::try_from(size).unwrap());
    }
    assert!(batches < 20.0, "{batches} batches");
    assert_eq!(found.give_up(), GaveUp::SetAside);
}

#[tokio::test]
async fn whoever_is_tried_again_until_its_deadline_hears_that_it_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let (messages, mut answers) = send_all(&[Probe::Locked]);
    let actor = actor(&folder);
    // At first it queues for the lock; after that it is set aside.
    let mut waiting = actor.serve(actor.serve(messages));
    waiting[0].deadline = Instant::now();
    assert!(actor.serve(waiting).is_empty());
    assert_eq!(answers.pop().unwrap().await, Some(Err(Error::Unavailable)));
}

#[test]
fn whoever_waits_takes_nobodys_place() {
    let (mailbox, mail) = crossbeam_channel::unbounded();
    let (waiting, _answers) = send_all(&[Probe::First; 3]);
    let (messages, _more_answers) = send_all(&[Probe::Fine; 5]);
    for message in messages {
        mailbox.send(Mail::Message(message)).ok().unwrap();
    }
    let (batch, _) = gather(waiting, &mail, 3);
    let kinds = Vec::from_iter(batch.iter().map(|message| matches!(message.request, Probe::First)));
    assert_eq!(kinds, [true, true, true, false, false, false]);
}

#[tokio::test]
async fn no_more_wait_than_go_into_a_batch() {
    let folder = tempfile::tempdir().unwrap();
    let (messages, mut answers) = send_all(&[Probe::First; 3]);
    assert_eq!(actor(&folder).bounded(messages).len(), 2);
    assert_eq!(answers.pop().unwrap().await, Some(Err(Error::Overloaded)));
}
