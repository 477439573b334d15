//! How an answer gets from an actor back to its caller, and how the two agree on who let go first.
//!
//! A plain oneshot cannot tell a caller whose deadline has passed if its message was still waiting (then it is certain
//! that nothing was executed) or already taken. Here taking and giving up are steps of one state under one lock: exactly
//! one of them wins.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};

/// Makes the two ends.
pub(super) fn pair<T>() -> (Reply<T>, Answer<T>) {
    let slot = Arc::new(Mutex::new(State::Waiting(None)));
    (Reply { slot: Arc::clone(&slot), home: thread::current().id() }, Answer { slot })
}

enum State<T> {
    /// In the mailbox.
    Waiting(Option<Waker>),
    /// Put back after it was tried in vain, mostly because somebody else holds what it needs.
    SetAside(Option<Waker>),
    /// An actor is at it.
    Taken(Option<Waker>),
    Answered(T, Neighbours),
    /// One end is gone: the caller without an answer, or the actor without giving one, or both after the answer.
    Over,
}

/// Callers whose answers are there, and who are woken by the neighbour that comes to fetch its own.
///
/// To wake a task from another thread costs a system call, from its own thread nearly nothing. So an actor wakes one
/// caller of each thread, and that one wakes the others; dropping these wakes them too, so that none can be forgotten.
struct Neighbours(Vec<Waker>);

impl Drop for Neighbours {
    fn drop(&mut self) {
        self.0.drain(..).for_each(Waker::wake);
    }
}

type Slot<T> = Arc<Mutex<State<T>>>;

/// Replaces the state by what `step` makes of it. No step panics, so a poisoned lock still holds a whole state.
fn change<T, R>(slot: &Slot<T>, step: impl FnOnce(State<T>) -> (State<T>, R)) -> R {
    let mut state = slot.lock().unwrap_or_else(PoisonError::into_inner);
    let (next, result) = step(std::mem::replace(&mut *state, State::Over));
    *state = next;
    result
}

/// The actor's end.
pub(super) struct Reply<T> {
    slot: Slot<T>,
    /// The thread that asked.
    home: ThreadId,
}

impl<T> Reply<T> {
    /// Claims the message for execution; false when its caller is gone, and then it must not be executed.
    pub(super) fn take(&self) -> bool {
        change(&self.slot, |state| match state {
            State::Waiting(waker) | State::SetAside(waker) => (State::Taken(waker), true),
            other => (other, false),
        })
    }

    /// Puts a message back to where it was before it was taken: it was not executed, and may be taken again.
    pub(super) fn put_back(&self) {
        change(&self.slot, |state| match state {
            State::Taken(waker) => (State::Waiting(waker), ()),
            other => (other, ()),
        });
    }

    /// Puts a message back that was tried in vain, or is behind one that was.
    pub(super) fn set_aside(&self) {
        change(&self.slot, |state| match state {
            State::Taken(waker) | State::Waiting(waker) => (State::SetAside(waker), ()),
            other => (other, ()),
        });
    }

    pub(super) fn is_set_aside(&self) -> bool {
        change(&self.slot, |state| match state {
            State::SetAside(waker) => (State::SetAside(waker), true),
            other => (other, false),
        })
    }

    /// Whether its caller is gone.
    pub(super) fn is_over(&self) -> bool {
        change(&self.slot, |state| match state {
            State::Over => (State::Over, true),
            other => (other, false),
        })
    }

    /// Answers. Does nothing when the caller is gone.
    pub(super) fn send(self, answer: T) {
        self.send_before(answer, Vec::new());
    }

    /// Answers, and has the caller wake its neighbours.
    fn send_before(self, answer: T, neighbours: Vec<Waker>) {
        let waker = self.finish(State::Answered(answer, Neighbours(neighbours)));
        waker.into_iter().for_each(Waker::wake);
    }

    /// Answers without waking the caller.
    fn put(self, answer: T) -> Option<Waker> {
        self.finish(State::Answered(answer, Neighbours(Vec::new())))
    }

    /// The end is dropped, after the lock is let go, if the caller is gone.
    fn finish(&self, end: State<T>) -> Option<Waker> {
        let (waker, _unheard) = change(&self.slot, |state| match state {
            State::Waiting(waker) | State::SetAside(waker) | State::Taken(waker) => (end, (waker, None)),
            other => (other, (None, Some(end))),
        });
        waker
    }
}

/// Answers many callers, with one wake-up for each thread that they are on.
pub(super) fn send_all<T>(answers: impl Iterator<Item = (Reply<T>, T)>) {
    let mut threads: Vec<(Reply<T>, T, Vec<Waker>)> = Vec::new();
    for (reply, answer) in answers {
        match threads.iter_mut().find(|(first, ..)| first.home == reply.home) {
            Some((.., neighbours)) => neighbours.extend(reply.put(answer)),
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

/// The caller's end: a future of the answer, `None` when the actor let go of the message without one.
pub(super) struct Answer<T> {
    slot: Slot<T>,
}

/// What a caller that stops waiting learns.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum GaveUp<T> {
    /// The message was not taken, and never will be.
    NeverTaken,
    /// The message was not executed, and never will be: it was tried in vain.
    SetAside,
    /// An actor had taken it: it may or may not be executed.
    Taken,
    /// The answer was there after all.
    Answered(T),
}

impl<T> Answer<T> {
    /// Stops waiting.
    pub(super) fn give_up(self) -> GaveUp<T> {
        match change(&self.slot, |state| (State::Over, state)) {
            State::Waiting(_) => GaveUp::NeverTaken,
            State::SetAside(_) => GaveUp::SetAside,
            State::Taken(_) | State::Over => GaveUp::Taken,
            State::Answered(answer, _) => GaveUp::Answered(answer),
        }
    }
}

impl<T> Future for Answer<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let waker = || Some(context.waker().clone());
        let end = change(&self.slot, |state| match state {
            State::Waiting(_) => (State::Waiting(waker()), None),
            State::SetAside(_) => (State::SetAside(waker()), None),
            State::Taken(_) => (State::Taken(waker()), None),
            end @ (State::Answered(..) | State::Over) => (State::Over, Some(end)),
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
        // The old state is dropped after the lock is let go: a waker's drop may run code of others.
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
        assert!(reply.take());
        reply.send(7);
        assert_eq!(waiting.await.unwrap(), Some(7));
    }

    #[tokio::test]
    async fn all_neighbours_hear_their_answers_even_if_the_first_is_gone() {
        for gone in [false, true] {
            let (replies, mut answers): (Vec<_>, Vec<_>) = (0..3).map(|_| pair()).unzip();
            let first = answers.remove(0);
            let first = tokio::spawn(first);
            let others = Vec::from_iter(answers.into_iter().map(tokio::spawn));
            // Every task has left its waker.
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
    fn a_message_whose_caller_is_gone_is_not_taken() {
        let (reply, answer) = pair::<()>();
        drop(answer);
        assert!(!reply.take());
    }

    #[test]
    fn giving_up_tells_whether_the_message_was_taken() {
        let (reply, answer) = pair::<()>();
        assert_eq!(answer.give_up(), GaveUp::NeverTaken);
        assert!(!reply.take());

        let (reply, answer) = pair::<()>();
        assert!(reply.take());
        assert_eq!(answer.give_up(), GaveUp::Taken);

        let (reply, answer) = pair::<()>();
        assert!(reply.take());
        reply.put_back();
        assert_eq!(answer.give_up(), GaveUp::NeverTaken);

        let (reply, answer) = pair::<()>();
        assert!(reply.take());
        reply.set_aside();
        assert!(reply.is_set_aside());
        assert_eq!(answer.give_up(), GaveUp::SetAside);
        assert!(reply.is_over());

        let (reply, answer) = pair();
        assert!(reply.take());
        reply.send(7);
        assert_eq!(answer.give_up(), GaveUp::Answered(7));
    }
}
