use std::time::{Duration, Instant};

use super::conflict_key::ConflictKey;
use super::message::Message;
use super::reply::{Answer, pair};
use super::request::{Execution, Request, Sent};
use super::retry::Retry;
use super::set_aside::{next_due, schedule, split_blocked};
use crate::domain::Error;
use crate::storage::database::connection::Connection;
use crate::storage::database::connection::batch_error::BatchError;
use crate::storage::database::connection::locks::LockPolicy;

/// Has up to two conflict keys, and is never run.
struct WithKeys([Option<i64>; 2]);

impl Request for WithKeys {
    type Answer = ();

    const UNANSWERED: Error = Error::OutcomeUnknown;

    fn run(_: &mut Connection, _: &[&Self], _: LockPolicy) -> Result<Vec<Execution<Self>>, BatchError> {
        Ok(Vec::new())
    }

    fn conflict_keys(&self) -> [Option<ConflictKey<'_>>; 4] {
        let [one, other] = self.0.map(|user| user.map(ConflictKey::User));
        [one, other, None, None]
    }
}

/// Messages, and the callers' ends of their replies.
struct Scenario {
    now: Instant,
    messages: Vec<Message<WithKeys>>,
    answers: Vec<Answer<Sent<WithKeys>>>,
}

const DEADLINE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(1);

impl Scenario {
    fn new() -> Self {
        Self { now: Instant::now(), messages: Vec::new(), answers: Vec::new() }
    }

    fn and(mut self, users: [Option<i64>; 2], retry: Option<Retry>) -> Self {
        let (reply, answer) = pair();
        let (sent, deadline) = (self.now, self.now + DEADLINE);
        let request = WithKeys(users);
        self.messages.push(Message { request, context: None, sent, deadline, reply, retry });
        self.answers.push(answer);
        self
    }

    fn free(self, user: i64) -> Self {
        self.and([Some(user), None], None)
    }

    /// Schedule at once.
    fn due(self, user: i64, alone: bool) -> Self {
        let at = self.now;
        let mut retry = Retry::after_pause(None, alone, at, at + DEADLINE);
        retry.at = at;
        self.and([Some(user), None], Some(retry))
    }

    /// Schedule after a pause.
    fn pausing(self, user: i64) -> Self {
        let retry = Retry::after_pause(None, false, self.now, self.now + DEADLINE);
        self.and([Some(user), None], Some(retry))
    }

    /// The first users of the messages that run, of the one that runs alone, and of those that stay.
    fn taken_at(self, now: Instant) -> (Vec<i64>, Option<i64>, Vec<i64>) {
        let first = |message: &Message<WithKeys>| message.request.0[0].unwrap();
        let due = schedule(self.messages, now);
        let all = |messages: &[Message<WithKeys>]| messages.iter().map(first).collect();
        (all(&due.batch), due.alone.as_ref().map(first), all(&due.staying))
    }

    fn taken(self) -> (Vec<i64>, Option<i64>, Vec<i64>) {
        let now = self.now;
        self.taken_at(now)
    }
}

#[test]
fn without_set_aside_messages_all_run() {
    assert_eq!(Scenario::new().free(1).free(1).free(2).taken(), (vec![1, 1, 2], None, vec![]));
}

#[test]
fn a_message_with_a_held_key_stays() {
    let scenario = Scenario::new().free(1).pausing(1).free(2).and([Some(3), Some(1)], None).free(3).free(4);
    assert_eq!(scenario.taken(), (vec![1, 2, 4], None, vec![1, 3, 3]));
}

#[test]
fn a_retried_message_is_not_overtaken() {
    assert_eq!(Scenario::new().due(1, false).free(1).free(2).taken(), (vec![1, 2], None, vec![1]));
}

#[test]
fn one_message_at_a_time_runs_alone() {
    let mut scenario = Scenario::new().due(1, true).due(2, true).due(3, true).free(4);
    let longest = scenario.messages[1].retry.as_mut().unwrap();
    longest.at -= PAUSE;
    assert_eq!(scenario.taken(), (vec![4], Some(2), vec![1, 3]));
}

#[test]
fn an_abandoned_message_holds_back_no_other() {
    let mut scenario = Scenario::new().pausing(1).pausing(1).pausing(2).free(1);
    drop(scenario.answers.remove(0));
    scenario.messages[1].deadline = scenario.now;
    assert_eq!(scenario.taken(), (vec![1, 1, 1], None, vec![2]));
}

#[test]
fn a_message_is_due_after_its_pause() {
    let due = |scenario: &Scenario| next_due(&scenario.messages, scenario.now).map(|due| due - scenario.now);
    assert_eq!(due(&Scenario::new()), None);
    assert_eq!(due(&Scenario::new().free(1)), Some(Duration::ZERO));
    assert_eq!(due(&Scenario::new().pausing(1).free(2)), Some(Duration::ZERO));
    assert_eq!(due(&Scenario::new().due(1, true).free(1)), Some(Duration::ZERO));
    let waiting = due(&Scenario::new().pausing(1).free(1)).unwrap();
    assert!(waiting > Duration::ZERO && waiting < DEADLINE, "{waiting:?}");
    let scenario = Scenario::new().pausing(1).free(1);
    let later = scenario.now + waiting;
    assert_eq!(scenario.taken_at(later), (vec![1], None, vec![1]));
}

#[test]
fn messages_behind_a_locked_one_stay() {
    let found = Scenario::new().pausing(1);
    let rest = Scenario::new().free(2).and([Some(1), Some(3)], None).free(3);
    let (free, behind) = split_blocked(&found.messages, rest.messages);
    assert_eq!((free.len(), behind.len()), (1, 2));
}
