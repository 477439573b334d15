//! Whose turn it is to be read, of the connections on a thread whose clients have shown no token.
//!
//! A thread polls whatever can go on, one after the other. Two thousand strangers that could would each have a piece of a call
//! read and answered before anybody else's answer is sent: seconds, where a container has half a core. So in one round of the thread
//! only a few of them have a turn, and the others wait in a line of their own.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::task::spawn_local;

/// Turns in one round of a thread. Each costs some tenths of a millisecond at the worst.
const AT_ONCE: usize = 8;

thread_local! {
    static OF_THREAD: Rc<Line> = Rc::default();
}

/// The connections that wait for a turn.
#[derive(Default)]
struct Line {
    waiting: RefCell<VecDeque<Rc<Place>>>,
    /// Whether somebody calls them up.
    moves: Cell<bool>,
}

/// A connection's place in it.
#[derive(Default)]
struct Place {
    has_come: Cell<bool>,
    /// While it waits.
    waker: RefCell<Option<Waker>>,
}

/// The turns of one connection.
pub(super) struct Turns {
    line: Rc<Line>,
    place: Rc<Place>,
}

impl Turns {
    /// On this thread.
    pub(super) fn new() -> Self {
        Self { line: OF_THREAD.with(Rc::clone), place: Rc::default() }
    }

    /// Waits for one, which goes on until it is ended.
    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        if self.place.has_come.get() {
            return Poll::Ready(());
        }
        if self.place.waker.replace(Some(cx.waker().clone())).is_none() {
            self.line.join(Rc::clone(&self.place));
        }
        Poll::Pending
    }

    pub(super) fn end(&self) {
        self.place.has_come.set(false);
    }
}

impl Line {
    fn join(self: &Rc<Self>, place: Rc<Place>) {
        self.waiting.borrow_mut().push_back(place);
        if !self.moves.replace(true) {
            spawn_local(Rc::clone(self).go_on());
        }
    }

    async fn go_on(self: Rc<Self>) {
        while self.call_up() {
            behind_all_others().await;
        }
        self.moves.set(false);
    }

    /// Gives the first of the line a turn each; true if others still wait.
    ///
    /// Whoever does not come, such as a connection that is closed or cannot be written, holds up nobody.
    fn call_up(&self) -> bool {
        for _ in 0..AT_ONCE {
            let Some(next) = self.waiting.borrow_mut().pop_front() else { return false };
            next.has_come.set(true);
            if let Some(waker) = next.waker.take() {
                waker.wake();
            }
        }
        !self.waiting.borrow().is_empty()
    }
}

/// Lets whatever can go on by now do so first. Not `yield_now`, which leaves the order to the runtime.
async fn behind_all_others() {
    let mut is_first = true;
    poll_fn(|cx| {
        if std::mem::take(&mut is_first) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    })
    .await;
}

#[cfg(test)]
mod tests {
    use tokio::task::LocalSet;

    use super::*;

    /// Does what a connection does that always has something to read; counts its turns.
    async fn reads_on(turns: Turns, count: Rc<Cell<usize>>) {
        loop {
            poll_fn(|cx| turns.poll(cx)).await;
            count.set(count.get() + 1);
            turns.end();
        }
    }

    #[tokio::test]
    async fn strangers_have_few_turns_between_two_of_somebody_else() {
        const STRANGERS: usize = 100;
        let local = LocalSet::new();
        let counts = Rc::new(Vec::from_iter((0..STRANGERS).map(|_| Rc::<Cell<usize>>::default())));
        for count in counts.iter() {
            local.spawn_local(reads_on(Turns::new(), Rc::clone(count)));
        }
        let of_all = Rc::clone(&counts);
        let had = move || of_all.iter().map(|count| count.get()).sum::<usize>();
        let somebody_else = async move {
            for _ in 0..STRANGERS {
                let before = had();
                behind_all_others().await;
                assert!(had() - before <= AT_ONCE, "{} turns", had() - before);
            }
        };
        // In the line with them, as whatever else a thread does.
        let somebody_else = local.spawn_local(somebody_else);
        local.run_until(somebody_else).await.unwrap();
        let counts = Vec::from_iter(counts.iter().map(|count| count.get()));
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert!(*least > 0 && most - least <= 1, "in turn: {counts:?}");
    }

    #[tokio::test]
    async fn whoever_does_not_come_holds_up_nobody() {
        let local = LocalSet::new();
        let count = Rc::<Cell<usize>>::default();
        local
            .run_until(async {
                let absent = Vec::from_iter((0..3 * AT_ONCE).map(|_| Turns::new()));
                for turns in &absent {
                    let waits = poll_fn(|cx| Poll::Ready(turns.poll(cx))).await;
                    assert!(waits.is_pending());
                }
                let reads = tokio::task::spawn_local(reads_on(Turns::new(), Rc::clone(&count)));
                while count.get() < 2 {
                    behind_all_others().await;
                }
                reads.abort();
            })
            .await;
    }
}
