//! How a message is handed over to an actor, and its answer to the caller.

use real_std::sync::atomic::{AtomicBool, Ordering};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use super::reply::{Answer, GaveUp, Reply, pair, send_all};
use crate::check;
use crate::tasks::{run, run_all};

/// Of the claim and the give-up one comes first, and both ends know which.
pub fn a_message_is_claimed_or_given_up() {
    check(|| {
        let (reply, answer) = pair();
        let actor = thread::spawn(move || {
            let is_executed = reply.claim();
            if is_executed {
                reply.send(7);
            }
            is_executed
        });
        let gave_up = answer.give_up();
        let is_executed = actor.join().unwrap();
        match gave_up {
            GaveUp::NeverClaimed => assert!(!is_executed, "it was executed, and its caller was told that it was not"),
            GaveUp::Claimed | GaveUp::Answered(7) => assert!(is_executed, "it was not executed"),
            gave_up => panic!("{gave_up:?}"),
        }
    });
}

/// A message that was put back is claimed again, or its caller has given up before or in between.
pub fn a_message_that_is_put_back_is_claimed_or_given_up() {
    a_second_claim_fails_after_a_give_up(Reply::put_back, &GaveUp::NeverClaimed);
}

/// The same with a message that is set aside: its caller learns that too.
pub fn a_message_that_is_set_aside_is_claimed_or_given_up() {
    a_second_claim_fails_after_a_give_up(Reply::set_aside, &GaveUp::SetAside);
}

fn a_second_claim_fails_after_a_give_up(return_it: fn(&Reply<u32>), once_returned: &'static GaveUp<u32>) {
    check(move || {
        let (reply, answer) = pair();
        let has_gone = Arc::new(AtomicBool::new(false));
        let had_gone = Arc::clone(&has_gone);
        let actor = thread::spawn(move || {
            if reply.claim() {
                return_it(&reply);
            }
            let had_gone = had_gone.load(Ordering::Relaxed);
            let is_executed = reply.claim();
            assert!(!(had_gone && is_executed), "it was executed after its caller had gone");
            if is_executed {
                reply.send(7);
            } else {
                assert!(reply.is_over(), "nobody else claims it");
            }
            is_executed
        });
        let gave_up = answer.give_up();
        has_gone.store(true, Ordering::Relaxed);
        let is_executed = actor.join().unwrap();
        match gave_up {
            // During the first claim or the second.
            GaveUp::Claimed => {}
            GaveUp::Answered(7) => assert!(is_executed),
            gave_up => {
                assert!(gave_up == GaveUp::NeverClaimed || gave_up == *once_returned, "{gave_up:?}");
                assert!(!is_executed, "it was executed, and its caller was told that it was not");
            }
        }
    });
}

/// Whatever an actor does with a message before it answers, the caller is woken.
pub fn the_waker_outlasts_every_change() {
    check(|| {
        let (reply, answer) = pair();
        let actor = thread::spawn(move || {
            assert!(!reply.is_over() && reply.claim());
            reply.put_back();
            assert!(reply.claim());
            reply.set_aside();
            assert!(reply.is_set_aside() && reply.claim());
            reply.send(7);
        });
        assert_eq!(run(answer), Some(7));
        actor.join().unwrap();
    });
}

/// A caller that polls with another waker is woken by that one.
pub fn a_new_waker_takes_the_place_of_the_old() {
    check(|| {
        let (reply, mut answer) = pair();
        let actor = thread::spawn(move || {
            assert!(reply.claim());
            reply.set_aside();
            assert!(reply.claim());
            reply.send(7);
        });
        let outcome = match Pin::new(&mut answer).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => run(answer),
        };
        assert_eq!(outcome, Some(7));
        actor.join().unwrap();
    });
}

/// A message that its actor drops ends the wait.
pub fn a_reply_that_is_dropped_ends_the_wait() {
    for is_claimed in [false, true] {
        check(move || {
            let (reply, answer) = pair::<u32>();
            let actor = thread::spawn(move || {
                assert!(!is_claimed || reply.claim());
                drop(reply);
            });
            assert_eq!(run(answer), None);
            actor.join().unwrap();
        });
    }
}

/// Callers on two threads are answered together: the first of each thread is woken, and wakes its neighbours.
pub fn send_all_wakes_every_caller() {
    all_are_woken(async |first| assert_eq!(first.await, Some(0)));
}

/// The same, although the first of a thread gives up meanwhile.
pub fn neighbours_are_woken_although_the_first_gives_up() {
    all_are_woken(async |mut first| {
        if poll_once(&mut first).await.is_pending() {
            assert!(matches!(first.give_up(), GaveUp::NeverClaimed | GaveUp::Answered(0)));
        }
    });
}

/// The same, although the first of a thread is dropped meanwhile.
pub fn neighbours_are_woken_although_the_first_is_dropped() {
    all_are_woken(async |mut first| {
        let _ = poll_once(&mut first).await;
    });
}

fn all_are_woken(first_task: impl AsyncFn(Answer<u32>) + Copy + Send + Sync + 'static) {
    check(move || {
        let (first_reply, first) = pair();
        let (second_reply, second) = pair();
        thread::spawn(move || {
            let (third_reply, third) = pair();
            let replies = [first_reply, second_reply, third_reply];
            thread::spawn(|| send_all(replies.into_iter().zip(0..)));
            assert_eq!(run(third), Some(2));
        });
        // The second first, so that it waits when the first is answered.
        let second = pin!(async { assert_eq!(second.await, Some(1)) });
        let first = pin!(first_task(first));
        run_all(&mut [second, first]);
    });
}

/// As a caller whose deadline passes while it waits.
async fn poll_once(answer: &mut Answer<u32>) -> Poll<Option<u32>> {
    poll_fn(|context| Poll::Ready(Pin::new(&mut *answer).poll(context))).await
}

/// No waker is called while the lock is held: it may poll at once.
pub fn a_waker_may_poll() {
    check(|| {
        let (reply, answer) = pair();
        let caller = Arc::new(PolledByWaker(Mutex::new(Caller::Waits(answer))));
        let actor = thread::spawn(move || {
            assert!(reply.claim());
            reply.send(7);
        });
        Arc::clone(&caller).wake();
        actor.join().unwrap();
        assert!(matches!(*caller.0.lock().unwrap(), Caller::Has(Some(7))));
    });
}

/// A caller that is polled where it is woken.
struct PolledByWaker(Mutex<Caller>);

enum Caller {
    Waits(Answer<u32>),
    Has(Option<u32>),
}

impl Wake for PolledByWaker {
    fn wake(self: Arc<Self>) {
        let waker = Arc::clone(&self).into();
        let mut caller = self.0.lock().unwrap();
        if let Caller::Waits(answer) = &mut *caller
            && let Poll::Ready(outcome) = Pin::new(answer).poll(&mut Context::from_waker(&waker))
        {
            *caller = Caller::Has(outcome);
        }
    }
}

/// No waker is dropped while the lock is held: it may look at the message.
pub fn a_waker_may_look_when_it_is_dropped() {
    check(|| {
        let (reply, mut answer) = pair();
        let reply = Arc::new(reply);
        let wakers = [0, 1].map(|_| Waker::from(Arc::new(LooksWhenDropped(Arc::clone(&reply)))));
        let actor = thread::spawn(move || {
            if reply.claim() {
                reply.put_back();
            }
        });
        for waker in wakers {
            assert!(Pin::new(&mut answer).poll(&mut Context::from_waker(&waker)).is_pending());
        }
        drop(answer);
        actor.join().unwrap();
    });
}

struct LooksWhenDropped(Arc<Reply<u32>>);

impl Wake for LooksWhenDropped {
    fn wake(self: Arc<Self>) {}
}

impl Drop for LooksWhenDropped {
    fn drop(&mut self) {
        self.0.is_over();
    }
}
