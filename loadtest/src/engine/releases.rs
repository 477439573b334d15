//! Requests that have become due, until a connection takes them.

use std::cell::Cell;
use std::time::Instant;

use tokio::sync::Notify;

use super::Load;
use crate::shape::Schedule;

/// The due times of one thread: every nth of the run's.
pub(super) struct Releases {
    schedule: Schedule,
    first: Instant,
    thread: u64,
    threads: u64,
    /// How many have become due. Those that nobody has taken need no memory: their times are computed.
    released: Cell<u64>,
    taken: Cell<u64>,
    has_ended: Cell<bool>,
    is_closed: Cell<bool>,
    changed: Notify,
}

impl Releases {
    /// `None` in a closed loop.
    pub(super) fn new(load: &Load, first: Instant, thread: u64, threads: u64) -> Option<Self> {
        let Load::Open(schedule) = load else { return None };
        Some(Self {
            schedule: schedule.clone(),
            first,
            thread,
            threads,
            released: Cell::new(0),
            taken: Cell::new(0),
            has_ended: Cell::new(false),
            is_closed: Cell::new(false),
            changed: Notify::new(),
        })
    }

    /// When the next request is due that is not released yet.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due(self.released.get())
    }

    pub(super) fn release(&self) {
        self.released.set(self.released.get() + 1);
        self.changed.notify_one();
    }

    /// No more will be released.
    pub(super) fn end(&self) {
        self.has_ended.set(true);
        self.changed.notify_waiters();
    }

    /// What is due is not sent any more.
    pub(super) fn close(&self) {
        self.is_closed.set(true);
        self.changed.notify_waiters();
    }

    /// Waits for a request to become due, and says since when it is. `None` after the last, and once it is closed.
    pub(super) async fn take(&self) -> Option<Instant> {
        loop {
            if self.is_closed.get() {
                return None;
            }
            if let Some(due) = self.take_now() {
                return Some(due);
            }
            if self.has_ended.get() {
                return None;
            }
            self.changed.notified().await;
        }
    }

    /// One that is due already.
    pub(super) fn take_now(&self) -> Option<Instant> {
        let number = self.taken.get();
        if number == self.released.get() {
            return None;
        }
        self.taken.set(number + 1);
        self.due(number)
    }

    fn due(&self, number: u64) -> Option<Instant> {
        Some(self.first + self.schedule.due(self.thread + number * self.threads)?)
    }
}
