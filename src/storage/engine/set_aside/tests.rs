use std::time::Duration;

use super::*;
use crate::domain::Error;
use crate::storage::database::batch_error::BatchError;
use crate::storage::database::connection::Connection;
use crate::storage::database::locks::Locks;
use crate::storage::engine::lane::{Outcome, Ran};
use crate::storage::engine::reply::{Answer, pair};
use crate::storage::engine::retry::Retry;

/// Touches up to two users, and is never run.
struct Touching([Option<i64>; 2]);

impl Request for Touching {
    type Answer = ();

    const UNANSWERED: Error = Error::OutcomeUnknown;

    fn run(_: &mut Connection, _: &[&Self], _: Locks) -> Result<Vec<Ran<Self>>, BatchError> {
        Ok(Vec::new())
    }

    fn touches(&self) -> [Option<Touched<'_>>; 3] {
        let [one, other] = self.0.map(|user| user.map(Touched::User));
        [one, other, None]
    }
}

/// Messages, and the answers that are waited for, by names.
struct Crowd {
    now: Instant,
    messages: Vec<Message<Touching>>,
    answers: Vec<Answer<Outcome<Touching>>>,
}

const DEADLINE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(1);

impl Crowd {
    fn new() -> Self {
        Self { now: Instant::now(), messages: Vec::new(), answers: Vec::new() }
    }

    fn and(mut self, users: [Option<i64>; 2], retry: Option<Retry>) -> Self {
        let (reply, answer) = pair();
        let (sent, deadline) = (self.now, self.now + DEADLINE);
        let request = Touching(users);
        self.messages.push(Message { request, context: None, sent, deadline, reply, retry });
        self.answers.push(answer);
        self
    }

    fn free(self, user: i64) -> Self {
        self.and([Some(user), None], None)
    }

    /// Due at once.
    fn due(self, user: i64, alone: bool) -> Self {
        let at = self.now;
        let mut retry = Retry::later(None, alone, at, at + DEADLINE);
        retry.at = at;
        self.and([Some(user), None], Some(retry))
    }

    /// Due after a pause.
    fn pausing(self, user: i64) -> Self {
        let retry = Retry::later(None, false, self.now, self.now + DEADLINE);
        self.and([Some(user), None], Some(retry))
    }

    /// The first users of those that run, of the one that runs alone, and of those that stay.
    fn taken_at(self, now: Instant) -> (Vec<i64>, Option<i64>, Vec<i64>) {
        let first = |message: &Message<Touching>| message.request.0[0].unwrap();
        let due = take_due(self.messages, now);
        let all = |messages: &[Message<Touching>]| messages.iter().map(first).collect();
        (all(&due.batch), due.alone.as_ref().map(first), all(&due.staying))
    }

    fn taken(self) -> (Vec<i64>, Option<i64>, Vec<i64>) {
        let now = self.now;
        self.taken_at(now)
    }
}

#[test]
fn where_nobody_is_set_aside_all_run() {
    assert_eq!(Crowd::new().free(1).free(1).free(2).taken(), (vec![1, 1, 2], None, vec![]));
}

#[test]
fn whoever_touches_what_is_held_stays_behind_it() {
    let crowd = Crowd::new().free(1).pausing(1).free(2).and([Some(3), Some(1)], None).free(3).free(4);
    assert_eq!(crowd.taken(), (vec![1, 2, 4], None, vec![1, 3, 3]));
}

#[test]
fn nobody_overtakes_one_that_is_tried_again() {
    assert_eq!(Crowd::new().due(1, false).free(1).free(2).taken(), (vec![1, 2], None, vec![1]));
}

#[test]
fn one_at_a_time_is_tried_alone() {
    let mut crowd = Crowd::new().due(1, true).due(2, true).due(3, true).free(4);
    let longest = crowd.messages[1].retry.as_mut().unwrap();
    longest.at -= PAUSE;
    assert_eq!(crowd.taken(), (vec![4], Some(2), vec![1, 3]));
}

#[test]
fn one_that_nobody_waits_for_holds_nobody_back() {
    let mut crowd = Crowd::new().pausing(1).pausing(1).pausing(2).free(1);
    drop(crowd.answers.remove(0));
    crowd.messages[1].deadline = crowd.now;
    assert_eq!(crowd.taken(), (vec![1, 1, 1], None, vec![2]));
}

#[test]
fn the_next_is_due_when_its_pause_is_over() {
    let due = |crowd: &Crowd| next_due(&crowd.messages, crowd.now).map(|due| due - crowd.now);
    assert_eq!(due(&Crowd::new()), None);
    assert_eq!(due(&Crowd::new().free(1)), Some(Duration::ZERO));
    assert_eq!(due(&Crowd::new().pausing(1).free(2)), Some(Duration::ZERO));
    assert_eq!(due(&Crowd::new().due(1, true).free(1)), Some(Duration::ZERO));
    let waiting = due(&Crowd::new().pausing(1).free(1)).unwrap();
    assert!(waiting > Duration::ZERO && waiting < DEADLINE, "{waiting:?}");
    let crowd = Crowd::new().pausing(1).free(1);
    let later = crowd.now + waiting;
    assert_eq!(crowd.taken_at(later), (vec![1], None, vec![1]));
}

#[test]
fn whoever_is_behind_one_that_is_found_stays_too() {
    let found = Crowd::new().pausing(1);
    let rest = Crowd::new().free(2).and([Some(1), Some(3)], None).free(3);
    let (free, behind) = part_behind(&found.messages, rest.messages);
    assert_eq!((free.len(), behind.len()), (1, 2));
}
