//! Threads that work with connections to the database. One whose call hangs is abandoned, and another takes its place.
//!
//! Nothing can end a thread from outside, nor take back its connection. So of each no more than [`MAX_HUNG`] are replaced at a
//! time. When the call of one of them returns, that thread ends, and makes room for another replacement.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::hung::{Hung, MAX_HUNG};
use super::watchdog::OnHang;
use crate::metrics::HungCalls;

/// Threads that do the same work. Clones share them.
#[derive(Clone)]
pub(crate) struct Workers(Arc<Shared>);

struct Shared {
    work: Box<dyn Fn(&Worker) + Send + Sync>,
    /// Threads that do not hang.
    working: AtomicUsize,
    hung: Hung,
    /// Of those that hang, so many have not been replaced.
    missing: Mutex<usize>,
}

/// One of the threads, as its work sees it.
pub(crate) struct Worker {
    workers: Workers,
    is_replacement: bool,
    state: Arc<State>,
    on_hang: OnHang,
}

#[derive(Default)]
struct State {
    is_abandoned: AtomicBool,
    is_about_to_end: AtomicBool,
}

impl Workers {
    /// Starts so many threads. Their work ends when it is told to stop, by means of its own, or finds itself abandoned.
    pub(crate) fn start(
        count: usize,
        hung_calls: HungCalls,
        work: impl Fn(&Worker) + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let (work, working, missing) = (Box::new(work), AtomicUsize::new(0), Mutex::default());
        let workers = Self(Arc::new(Shared { work, working, hung: Hung::new(hung_calls, count * MAX_HUNG), missing }));
        for _ in 0..count {
            workers.spawn(false)?;
        }
        Ok(workers)
    }

    /// Whether nobody is left to do the work: all have ended, or hang.
    pub(crate) fn are_gone(&self) -> bool {
        self.0.working.load(Ordering::Relaxed) == 0
    }

    fn missing(&self) -> MutexGuard<'_, usize> {
        self.0.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spawn(&self, is_replacement: bool) -> std::io::Result<()> {
        let state = Arc::new(State::default());
        let (workers, hangs) = (self.clone(), Arc::clone(&state));
        let on_hang: OnHang = Arc::new(move || workers.abandon(&hangs));
        self.0.working.fetch_add(1, Ordering::Relaxed);
        let worker = Worker { workers: self.clone(), is_replacement, state, on_hang };
        let work = move || (worker.workers.0.work)(&worker);
        thread::Builder::new().name(self.0.hung.caller().to_owned()).spawn(work).map(drop)
    }

    /// One of the threads hangs: another takes its place.
    fn abandon(&self, worker: &State) {
        worker.is_abandoned.store(true, Ordering::Relaxed);
        let mut missing = self.missing();
        let may_be_replaced = !self.0.hung.are_too_many();
        self.0.hung.begin();
        let needs_nobody = worker.is_about_to_end.load(Ordering::Relaxed);
        let is_replaced = may_be_replaced && !needs_nobody && self.spawn(true).is_ok();
        if !is_replaced && !needs_nobody {
            *missing += 1;
            log::error!("{}: too many calls to the database hang; this thread is not replaced", self.0.hung.caller());
        }
        // Last: while it is being replaced, nobody is to find that all are gone.
        self.0.working.fetch_sub(1, Ordering::Relaxed);
    }

    /// The call of an abandoned thread has returned.
    fn has_returned(&self) {
        let mut missing = self.missing();
        self.0.hung.end();
        if *missing > 0 && self.spawn(true).is_ok() {
            *missing -= 1;
        }
    }
}

impl Worker {
    /// Whether it has taken the place of one that hangs.
    pub(crate) fn is_replacement(&self) -> bool {
        self.is_replacement
    }

    /// Whether its call took so long that another has taken its place. Then it must end.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.state.is_abandoned.load(Ordering::Relaxed)
    }

    /// It was told to stop: should it hang from now on, nobody has to take its place.
    pub(crate) fn prepare_to_end(&self) {
        self.state.is_about_to_end.store(true, Ordering::Relaxed);
    }

    /// What is to be done when a call of its own hangs.
    pub(crate) fn on_hang(&self) -> &OnHang {
        &self.on_hang
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.is_abandoned() {
            self.workers.has_returned();
        } else {
            self.workers.0.working.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

    use super::*;
    use crate::metrics::Metrics;

    const SOON: Duration = Duration::from_secs(10);

    /// Makes one worker that hangs until its sender is dropped, and tells of each that begins.
    fn hanging(about_to_end: bool) -> (Workers, Receiver<(OnHang, Sender<()>)>) {
        let (began, begins) = unbounded();
        let work = move |worker: &Worker| {
            if about_to_end {
                worker.prepare_to_end();
            }
            let (hangs, returns) = bounded::<()>(0);
            began.send((Arc::clone(worker.on_hang()), hangs)).unwrap();
            returns.recv().unwrap_err();
        };
        let calls = Metrics::new("postgres").unwrap().hung_calls("probes");
        (Workers::start(1, calls, work).unwrap(), begins)
    }

    #[test]
    fn so_many_that_hang_are_replaced_and_no_more_until_one_returns() {
        let (workers, begins) = hanging(false);
        let mut hung = Vec::new();
        for _ in 0..=MAX_HUNG {
            let (on_hang, hangs) = begins.recv_timeout(SOON).unwrap();
            assert!(!workers.are_gone());
            on_hang();
            hung.push(hangs);
        }
        assert!(workers.are_gone() && begins.is_empty());
        hung.pop();
        let last = begins.recv_timeout(SOON).unwrap();
        assert!(!workers.are_gone());
        drop((last, hung));
    }

    #[test]
    fn nobody_takes_the_place_of_one_that_was_told_to_stop() {
        let (workers, begins) = hanging(true);
        let (on_hang, hangs) = begins.recv_timeout(SOON).unwrap();
        on_hang();
        assert!(workers.are_gone());
        drop(hangs);
        assert!(begins.is_empty());
    }
}
