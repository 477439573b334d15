//! Schedules which connections of unauthenticated clients a thread reads next.
//!
//! A thread polls all tasks that are ready, one after the other. With two thousand unauthenticated clients, it would
//! read and answer one chunk of a call for each of them before it sends the next response to anybody else. On half a
//! core that takes seconds. So only eight such connections are read per scheduling round of the thread; the others wait
//! in a queue.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::task::spawn_local;

/// Connections that are read per round. In the worst case each takes some tenths of a millisecond.
const SLOTS_PER_ROUND: usize = 8;

thread_local! {
    static SCHEDULER: Rc<Scheduler> = Rc::default();
}

/// The queue of a thread's connections that wait to be read.
#[derive(Default)]
struct Scheduler {
    queue: RefCell<VecDeque<Rc<State>>>,
    /// Whether a task is running that serves the queue.
    is_running: Cell<bool>,
}

/// The state of one connection.
#[derive(Default)]
struct State {
    may_read: Cell<bool>,
    /// Set while the connection is in the queue.
    waker: RefCell<Option<Waker>>,
}

/// One connection's handle to the scheduler of its thread.
pub(super) struct ReadSlot {
    scheduler: Rc<Scheduler>,
    state: Rc<State>,
}

impl ReadSlot {
    pub(super) fn on_this_thread() -> Self {
        Self { scheduler: SCHEDULER.with(Rc::clone), state: Rc::default() }
    }

    /// Waits for permission to read, which lasts until it is released.
    pub(super) fn poll_acquire(&self, cx: &Context<'_>) -> Poll<()> {
        if self.state.may_read.get() {
            return Poll::Ready(());
        }
        if self.state.waker.replace(Some(cx.waker().clone())).is_none() {
            self.scheduler.enqueue(Rc::clone(&self.state));
        }
        Poll::Pending
    }

    pub(super) fn release(&self) {
        self.state.may_read.set(false);
    }
}

impl Scheduler {
    fn enqueue(self: &Rc<Self>, state: Rc<State>) {
        self.queue.borrow_mut().push_back(state);
        if !self.is_running.replace(true) {
            spawn_local(Rc::clone(self).run());
        }
    }

    async fn run(self: Rc<Self>) {
        while self.run_round() {
            next_round().await;
        }
        self.is_running.set(false);
    }

    /// Gives a slot to each of the first connections in the queue. Returns whether others still wait.
    ///
    /// A connection that does not use its slot, because it is closed or cannot be written to, delays no other.
    fn run_round(&self) -> bool {
        for _ in 0..SLOTS_PER_ROUND {
            let Some(next) = self.queue.borrow_mut().pop_front() else { return false };
            next.may_read.set(true);
            if let Some(waker) = next.waker.take() {
                waker.wake();
            }
        }
        !self.queue.borrow().is_empty()
    }
}

/// Completes after every task that is ready now has been polled. Not `yield_now`, which leaves the order to the
/// runtime.
async fn next_round() {
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

    /// Behaves like a connection that always has something to read, and counts its slots.
    async fn read_forever(slot: ReadSlot, count: Rc<Cell<usize>>) {
        loop {
            poll_fn(|cx| slot.poll_acquire(cx)).await;
            count.set(count.get() + 1);
            slot.release();
        }
    }

    #[tokio::test]
    async fn other_tasks_run_after_a_few_slots() {
        const CONNECTIONS: usize = 100;
        let local = LocalSet::new();
        let counts = Rc::new(Vec::from_iter((0..CONNECTIONS).map(|_| Rc::<Cell<usize>>::default())));
        for count in counts.iter() {
            local.spawn_local(read_forever(ReadSlot::on_this_thread(), Rc::clone(count)));
        }
        let all = Rc::clone(&counts);
        let total = move || all.iter().map(|count| count.get()).sum::<usize>();
        let other_task = async move {
            for _ in 0..CONNECTIONS {
                let before = total();
                next_round().await;
                assert!(total() - before <= SLOTS_PER_ROUND, "{} slots", total() - before);
            }
        };
        let other_task = local.spawn_local(other_task);
        local.run_until(other_task).await.unwrap();
        let counts = Vec::from_iter(counts.iter().map(|count| count.get()));
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert!(*least > 0 && most - least <= 1, "slots are shared evenly: {counts:?}");
    }

    #[tokio::test]
    async fn an_unused_slot_delays_no_other_connection() {
        let local = LocalSet::new();
        let count = Rc::<Cell<usize>>::default();
        local
            .run_until(async {
                let unused = Vec::from_iter((0..3 * SLOTS_PER_ROUND).map(|_| ReadSlot::on_this_thread()));
                for slot in &unused {
                    let acquired = poll_fn(|cx| Poll::Ready(slot.poll_acquire(cx))).await;
                    assert!(acquired.is_pending());
                }
                let reads = tokio::task::spawn_local(read_forever(ReadSlot::on_this_thread(), Rc::clone(&count)));
                while count.get() < 2 {
                    next_round().await;
                }
                reads.abort();
            })
            .await;
    }
}
