//! Threads that work with database connections: those of the lanes, and the keeper's.
//!
//! A thread whose call hangs is abandoned with its connection, and another thread takes its place. Nothing can end a
//! thread from outside, so at most two hung threads per actor are replaced. After that the lane has no actor: it
//! refuses at once, and `/ready` turns 503, until a call returns.
//!
//! The event log releases its callers in the same way, up to a limit, and so does opening a connection: libpq bounds
//! only a part of that, and r2d2 has three threads for it.

pub(crate) mod abandoned_calls;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::metrics::HungCalls;
use abandoned_calls::{AbandonedCalls, MAX_PER_CALLER, OnHang};

/// Threads that do the same work. Clones share them.
#[derive(Clone)]
pub(crate) struct Workers(Arc<Shared>);

struct Shared {
    work: Box<dyn Fn(&Worker) + Send + Sync>,
    /// How many threads do not hang.
    working: AtomicUsize,
    abandoned: AbandonedCalls,
    /// How many hung threads have not been replaced.
    missing: Mutex<usize>,
}

/// One of the threads, for its work.
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
    /// Starts `count` threads. Each runs `work`, which must return when it is told to stop or finds itself abandoned.
    pub(crate) fn start(
        count: usize,
        hung_calls: HungCalls,
        work: impl Fn(&Worker) + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let abandoned = AbandonedCalls::new(hung_calls, count * MAX_PER_CALLER);
        let (work, working, missing) = (Box::new(work), AtomicUsize::new(0), Mutex::default());
        let workers = Self(Arc::new(Shared { work, working, abandoned, missing }));
        for _ in 0..count {
            workers.spawn(false)?;
        }
        Ok(workers)
    }

    /// Whether no thread is left to do the work: all have ended, or hang.
    pub(crate) fn all_gone(&self) -> bool {
        self.0.working.load(Ordering::Relaxed) == 0
    }

    fn missing(&self) -> MutexGuard<'_, usize> {
        self.0.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spawn(&self, is_replacement: bool) -> std::io::Result<()> {
        let state = Arc::new(State::default());
        let (workers, hung) = (self.clone(), Arc::clone(&state));
        let on_hang: OnHang = Arc::new(move || workers.abandon(&hung));
        self.0.working.fetch_add(1, Ordering::Relaxed);
        let worker = Worker { workers: self.clone(), is_replacement, state, on_hang };
        let work = move || (worker.workers.0.work)(&worker);
        thread::Builder::new().name(self.0.abandoned.caller().to_owned()).spawn(work).map(drop)
    }

    /// Abandons a thread that hangs, and replaces it if the limit permits. Does nothing if it was abandoned before: it
    /// may hang once more before it ends.
    fn abandon(&self, worker: &State) {
        if worker.is_abandoned.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut missing = self.missing();
        let may_be_replaced = !self.0.abandoned.limit_reached();
        self.0.abandoned.add();
        let was_ending = worker.is_about_to_end.load(Ordering::Relaxed);
        let is_replaced = may_be_replaced && !was_ending && self.spawn(true).is_ok();
        if !is_replaced && !was_ending {
            *missing += 1;
            let caller = self.0.abandoned.caller();
            log::error!("{caller}: too many calls to the database hang; this thread is not replaced");
        }
        // Last: during the replacement `all_gone` must not be true.
        self.0.working.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts an abandoned thread whose call has returned, and starts a replacement if one is missing.
    fn has_returned(&self) {
        let mut missing = self.missing();
        self.0.abandoned.remove();
        if *missing > 0 && self.spawn(true).is_ok() {
            *missing -= 1;
        }
    }
}

impl Worker {
    /// Whether this thread replaces one that hangs.
    pub(crate) fn is_replacement(&self) -> bool {
        self.is_replacement
    }

    /// Whether a call of this thread took so long that the thread was abandoned. Then it must end.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.state.is_abandoned.load(Ordering::Relaxed)
    }

    /// Marks the thread as about to end: if it hangs from now on, it is not replaced.
    pub(crate) fn prepare_to_end(&self) {
        self.state.is_about_to_end.store(true, Ordering::Relaxed);
    }

    /// What runs when a call of this thread hangs.
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

    /// Starts one worker that hangs until its sender is dropped. The receiver yields every worker that starts.
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
    fn hung_workers_are_replaced_up_to_the_limit() {
        let (workers, begins) = hanging(false);
        let mut hung = Vec::new();
        for _ in 0..=MAX_PER_CALLER {
            let (on_hang, hangs) = begins.recv_timeout(SOON).unwrap();
            assert!(!workers.all_gone());
            on_hang();
            hung.push(hangs);
        }
        assert!(workers.all_gone() && begins.is_empty());
        hung.pop();
        let last = begins.recv_timeout(SOON).unwrap();
        assert!(!workers.all_gone());
        drop((last, hung));
    }

    #[test]
    fn a_worker_that_was_told_to_stop_is_not_replaced() {
        let (workers, begins) = hanging(true);
        let (on_hang, hangs) = begins.recv_timeout(SOON).unwrap();
        on_hang();
        assert!(workers.all_gone());
        drop(hangs);
        assert!(begins.is_empty());
    }
}
