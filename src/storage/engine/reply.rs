//! How a response gets from an actor to its caller, and how the two agree on who gave up first.
//!
//! A caller waits until its deadline (`DB_DEADLINE`, queueing included). If the deadline passes, the caller must know
//! whether its message can still be executed, and a plain oneshot channel cannot say. So a reply keeps one small state
//! under one lock: *waiting*, *set aside*, *claimed*, *answered*, *over*. The actor's claim and the caller's giving up
//! are both transitions of that state, and exactly one of them comes first. After an unsuccessful attempt the actor
//! steps back at once, before it looks after its connection.
//!
//! | what happened | response |
//! | --- | --- |
//! | the mailbox is full, or the expected wait exceeds `DB_MAX_WAIT` | 503 `overloaded`, at once; `unavailable` while the database is unreachable |
//! | the deadline passed before an actor claimed the message | 503 `overloaded`; no actor will execute it |
//! | it was set aside, and three eighths of its time are left: another transaction held its user, its address or the table | 503 `unavailable`; no actor will execute it |
//! | the deadline passed after the claim: a read | 503 `unavailable` |
//! | the deadline passed after the claim: a write | 504 `outcome_unknown`: it may still be executed |
//! | the schema was never found up to date; a change, while the database is known to be read-only | 503 `unavailable`, at once |
//! | the tables or SQLite's file are known to be gone | 503 `unavailable` without `Retry-After`, at once |
//! | no connection within `DB_CONNECT_TIMEOUT` | 503 `unavailable` |
//! | the batch failed before its commit | rolled back; its messages are set aside and tried once more in small parts, if three eighths of their time are left |
//! | ... and a message failed alone | 409 if another replica took the address in that moment; 503 `unavailable` if the database is lost, locked, full or read-only; else 500 `internal` |
//! | ... and PostgreSQL's encoding cannot store its text | 422; a look-up or a list finds no user |
//! | the batch panicked before its commit | its connection is discarded; its messages are tried once more in small parts; 500 for the one that panics alone |
//! | SQLite found no space at COMMIT | rolled back; as above |
//! | on PostgreSQL the call hung and was abandoned | its callers gave up before, as above: a write 504, a read 503 |
//! | no actor of the lane is left, because too many hang | 503 `unavailable`, at once |
//! | on PostgreSQL the statement was sent and its response was lost or unreadable; on SQLite COMMIT failed otherwise, or a file was deleted or replaced | 504 `outcome_unknown` for the whole batch; it is not repeated |
//!
//! So 503 means "not executed", and 504 means "unknown". No write is repeated once it may have been committed.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};

/// Creates the two ends. Must run on the caller's thread.
pub(super) fn pair<T>() -> (Reply<T>, Answer<T>) {
    let slot = Arc::new(Mutex::new(State::Waiting(None)));
    (Reply { slot: Arc::clone(&slot), thread: thread::current().id() }, Answer { slot })
}

enum State<T> {
    /// In the mailbox, or deferred to the next batch.
    Waiting(Option<Waker>),
    /// Put back after an unsuccessful attempt, mostly because another transaction holds a lock.
    SetAside(Option<Waker>),
    /// Claimed by an actor.
    Claimed(Option<Waker>),
    Answered(T, Neighbours),
    /// One end is gone: the caller before the answer, the actor without an answer, or both after the answer.
    Over,
}

/// Callers on the same thread whose answers are ready. The first of them wakes the others.
///
/// Waking a task from another thread costs a system call; from its own thread it costs next to nothing. So an actor
/// wakes one caller of each thread, and that caller wakes its neighbours. Dropping this wakes them too, so no caller is
/// forgotten.
struct Neighbours(Vec<Waker>);

impl Drop for Neighbours {
    fn drop(&mut self) {
        self.0.drain(..).for_each(Waker::wake);
    }
}

type Slot<T> = Arc<Mutex<State<T>>>;

/// Replaces the state by the result of `step`. No step panics, so even a poisoned lock holds a valid state.
fn change<T, R>(slot: &Slot<T>, step: impl FnOnce(State<T>) -> (State<T>, R)) -> R {
    let mut state = slot.lock().unwrap_or_else(PoisonError::into_inner);
    let (next, result) = step(std::mem::replace(&mut *state, State::Over));
    *state = next;
    result
}

/// The actor's end.
pub(super) struct Reply<T> {
    slot: Slot<T>,
    /// The caller's thread.
    thread: ThreadId,
}

impl<T> Reply<T> {
    /// Claims the message for execution. Returns false if the caller has gone; then the message must not be executed.
    pub(super) fn claim(&self) -> bool {
        change(&self.slot, |state| match state {
            State::Waiting(waker) | State::SetAside(waker) => (State::Claimed(waker), true),
            other => (other, false),
        })
    }

    /// Returns a claimed message to the state before the claim: it was not executed and may be claimed again.
    pub(super) fn put_back(&self) {
        change(&self.slot, |state| match state {
            State::Claimed(waker) => (State::Waiting(waker), ()),
            other => (other, ()),
        });
    }

    /// Puts back a message after an unsuccessful attempt, or behind such a message.
    pub(super) fn set_aside(&self) {
        change(&self.slot, |state| match state {
            State::Claimed(waker) | State::Waiting(waker) => (State::SetAside(waker), ()),
            other => (other, ()),
        });
    }

    pub(super) fn is_set_aside(&self) -> bool {
        change(&self.slot, |state| match state {
            State::SetAside(waker) => (State::SetAside(waker), true),
            other => (other, false),
        })
    }

    /// Whether the caller has gone.
    pub(super) fn is_over(&self) -> bool {
        change(&self.slot, |state| match state {
            State::Over => (State::Over, true),
            other => (other, false),
        })
    }

    /// Answers. Does nothing if the caller has gone.
    pub(super) fn send(self, answer: T) {
        self.send_before(answer, Vec::new());
    }

    /// Answers and wakes the caller, who wakes its neighbours.
    fn send_before(self, answer: T, neighbours: Vec<Waker>) {
        let waker = self.finish(State::Answered(answer, Neighbours(neighbours)));
        waker.into_iter().for_each(Waker::wake);
    }

    /// Answers without waking the caller.
    fn store(self, answer: T) -> Option<Waker> {
        self.finish(State::Answered(answer, Neighbours(Vec::new())))
    }

    /// Ends the wait. If the caller has gone, `end` is dropped after the lock is released.
    fn finish(&self, end: State<T>) -> Option<Waker> {
        let (waker, _unsent) = change(&self.slot, |state| match state {
            State::Waiting(waker) | State::SetAside(waker) | State::Claimed(waker) => (end, (waker, None)),
            other => (other, (None, Some(end))),
        });
        waker
    }
}

/// Answers many callers, with one wake-up for each of their threads.
pub(super) fn send_all<T>(answers: impl Iterator<Item = (Reply<T>, T)>) {
    let mut threads: Vec<(Reply<T>, T, Vec<Waker>)> = Vec::new();
    for (reply, answer) in answers {
        match threads.iter_mut().find(|(first, ..)| first.thread == reply.thread) {
            Some((.., neighbours)) => neighbours.extend(reply.store(answer)),
            None => threads.push((reply, answer, Vec::new())),
        }
    }
    for (first, answer, neighbours) in threads {
        first.send_before(answer, neighbours);
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        self.finish(State::Over).into_iter().for_each(Waker::wake);
    }
}

/// The caller's end: a future of the answer. It is `None` if the actor dropped the message without an answer.
pub(super) struct Answer<T> {
    slot: Slot<T>,
}

/// What a caller learns when it gives up.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum GaveUp<T> {
    /// The message was not claimed and will not be executed.
    NeverClaimed,
    /// The message was attempted without success and will not be executed.
    SetAside,
    /// An actor has claimed the message. It may still be executed.
    Claimed,
    /// The answer had arrived.
    Answered(T),
}

impl<T> Answer<T> {
    /// Stops waiting.
    pub(super) fn give_up(self) -> GaveUp<T> {
        match change(&self.slot, |state| (State::Over, state)) {
            State::Waiting(_) => GaveUp::NeverClaimed,
            State::SetAside(_) => GaveUp::SetAside,
            State::Claimed(_) | State::Over => GaveUp::Claimed,
            State::Answered(answer, _) => GaveUp::Answered(answer),
        }
    }
}

impl<T> Future for Answer<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let waker = || Some(context.waker().clone());
        // Drops the old waker after the lock is released: that may run foreign code.
        let (end, _replaced) = change(&self.slot, |state| match state {
            State::Waiting(old) => (State::Waiting(waker()), (None, old)),
            State::SetAside(old) => (State::SetAside(waker()), (None, old)),
            State::Claimed(old) => (State::Claimed(waker()), (None, old)),
            end @ (State::Answered(..) | State::Over) => (State::Over, (Some(end), None)),
        });
        match end {
            None => Poll::Pending,
            Some(State::Answered(answer, neighbours)) => {
                drop(neighbours);
                Poll::Ready(Some(answer))
            }
            Some(_) => Poll::Ready(None),
        }
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        // Drops the old state after the lock is released: dropping a waker may run foreign code.
        drop(change(&self.slot, |state| (State::Over, state)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_arrives() {
        let (reply, answer) = pair();
        let waiting = tokio::spawn(answer);
        assert!(reply.claim());
        reply.send(7);
        assert_eq!(waiting.await.unwrap(), Some(7));
    }

    #[tokio::test]
    async fn all_neighbours_get_their_answers_even_if_the_first_has_gone() {
        for gone in [false, true] {
            let (replies, mut answers): (Vec<_>, Vec<_>) = (0..3).map(|_| pair()).unzip();
            let first = answers.remove(0);
            let first = tokio::spawn(first);
            let others = Vec::from_iter(answers.into_iter().map(tokio::spawn));
            // Let every task store its waker.
            tokio::task::yield_now().await;
            if gone {
                first.abort();
                assert!(first.await.unwrap_err().is_cancelled());
            } else {
                drop(first);
            }
            send_all(replies.into_iter().zip(0..));
            for (other, answer) in others.into_iter().zip(1..) {
                assert_eq!(other.await.unwrap(), Some(answer));
            }
        }
    }

    #[tokio::test]
    async fn a_reply_that_is_dropped_ends_the_wait() {
        let (reply, answer) = pair::<()>();
        drop(reply);
        assert_eq!(answer.await, None);
    }

    #[test]
    fn a_message_whose_caller_has_gone_is_not_claimed() {
        let (reply, answer) = pair::<()>();
        drop(answer);
        assert!(!reply.claim());
    }

    #[test]
    fn giving_up_reveals_whether_the_message_was_claimed() {
        let (reply, answer) = pair::<()>();
        assert_eq!(answer.give_up(), GaveUp::NeverClaimed);
        assert!(!reply.claim());

        let (reply, answer) = pair::<()>();
        assert!(reply.claim());
        assert_eq!(answer.give_up(), GaveUp::Claimed);

        let (reply, answer) = pair::<()>();
        assert!(reply.claim());
        reply.put_back();
        assert_eq!(answer.give_up(), GaveUp::NeverClaimed);

        let (reply, answer) = pair::<()>();
        assert!(reply.claim());
        reply.set_aside();
        assert!(reply.is_set_aside());
        assert_eq!(answer.give_up(), GaveUp::SetAside);
        assert!(reply.is_over());

        let (reply, answer) = pair();
        assert!(reply.claim());
        reply.send(7);
        assert_eq!(answer.give_up(), GaveUp::Answered(7));
    }
}
