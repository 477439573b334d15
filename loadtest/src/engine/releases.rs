//! When the requests of one thread are due, and which of them connections have taken.

use std::cell::Cell;
use std::time::Instant;

use tokio::sync::Notify;

use super::{Load, Plan};
use crate::shape::Schedule;

/// Every nth of the run's due times. What is due and not taken needs no memory: its times are computed.
pub(super) struct Releases {
    schedule: Schedule,
    first: Instant,
    thread: u64,
    threads: u64,
    /// How many there are, at most.
    count: u64,
    taken: Cell<u64>,
    is_closed: Cell<bool>,
    /// For connections that wait: something is due, or nothing will be.
    due: Notify,
    /// For the pacer: what was due is taken, or nothing will be.
    taken_up: Notify,
}

/// A request that a connection has taken.
pub(super) struct Taken {
    pub due: Instant,
    /// Whether the connection was free before it was due.
    pub was_free: bool,
}

impl Releases {
    /// `None` in a closed loop.
    pub(super) fn new(plan: &Plan, first: Instant, thread: usize) -> Option<Self> {
        let Load::Open(schedule) = &plan.load else { return None };
        let mut releases = Self {
            schedule: schedule.clone(),
            first,
            thread: thread as u64,
            threads: plan.threads as u64,
            count: u64::MAX,
            taken: Cell::new(0),
            is_closed: Cell::new(false),
            due: Notify::new(),
            taken_up: Notify::new(),
        };
        if let Some(most) = plan.requests_of(thread) {
            let is_warm_up = |number: &u64| releases.due(*number).is_some_and(|due| due < first + plan.warm_up);
            releases.count = (0..u64::MAX).take_while(is_warm_up).count() as u64 + most;
        }
        Some(releases)
    }

    /// When the next request is due that is not taken; `None` after the last, and once it is closed.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due(self.taken.get()).filter(|_| !self.is_closed.get())
    }

    /// Has a free connection take what has become due, and waits until all that is due is taken.
    pub(super) async fn release(&self) {
        self.due.notify_one();
        while self.next_due().is_some_and(|due| due <= Instant::now()) {
            self.taken_up.notified().await;
        }
    }

    /// Nothing is sent any more.
    pub(super) fn close(&self) {
        self.is_closed.set(true);
        self.due.notify_waiters();
        self.taken_up.notify_one();
    }

    /// Waits for a request to become due. `None` after the last, and once it is closed.
    pub(super) async fn take(&self) -> Option<Taken> {
        let mut was_free = false;
        loop {
            let next = self.next_due()?;
            if next <= Instant::now() {
                self.pass_on();
                return Some(Taken { due: next, was_free });
            }
            was_free = true;
            self.due.notified().await;
        }
    }

    /// What is due and was not taken until it was closed.
    pub(super) fn left(&self) -> impl Iterator<Item = Instant> {
        (self.taken.get()..).map_while(|number| self.due(number)).take_while(|due| *due <= Instant::now())
    }

    /// Counts one as taken, and wakes who has to go on.
    fn pass_on(&self) {
        self.taken.set(self.taken.get() + 1);
        match self.next_due() {
            Some(due) if due <= Instant::now() => self.due.notify_one(),
            Some(_) => self.taken_up.notify_one(),
            None => {
                self.due.notify_waiters();
                self.taken_up.notify_one();
            }
        }
    }

    fn due(&self, number: u64) -> Option<Instant> {
        let due = self.schedule.due(self.thread + number * self.threads).filter(|_| number < self.count)?;
        Some(self.first + due)
    }
}
