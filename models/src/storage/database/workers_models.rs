//! Threads that are replaced when their calls hang.

use real_std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use loom::{explore, stop_exploring};

use super::pool::watchdog_models::Watched;
use super::workers::abandoned_calls::OnHang;
use super::workers::{Worker, Workers};
use crate::metrics::HungCalls;
use crate::{Flag, check};

/// A thread whose call hangs is replaced, and at no moment is there no thread.
pub fn a_hung_thread_is_replaced_before_it_is_gone() {
    a_thread_makes_calls(1);
}

/// A thread that was abandoned may make one more call before it ends. If that hangs too, it is not replaced again.
pub fn a_thread_that_hangs_twice_is_replaced_once() {
    a_thread_makes_calls(2);
}

fn a_thread_makes_calls(calls: usize) {
    check(move || {
        let watched = Watched::new(calls);
        let (stop, replacements) = (Arc::new(Flag::default()), AtomicUsize::new(0));
        let stopped = Arc::clone(&stop);
        let work = move |worker: &Worker| {
            if worker.is_replacement() {
                assert_eq!(replacements.fetch_add(1, Ordering::Relaxed), 0, "replaced twice");
            } else {
                let hung = (0..calls).filter(|_| watched.call(worker.on_hang())).count();
                assert_eq!(worker.is_abandoned(), hung > 0);
                if hung > 0 {
                    return;
                }
            }
            stopped.wait();
        };
        let workers = Workers::start(1, HungCalls::default(), work).unwrap();
        assert!(!workers.all_gone());
        stop.raise();
        wait_for_end(&workers);
    });
}

/// Waits until all threads have ended.
fn wait_for_end(workers: &Workers) {
    thread::join(HungCalls::CALLER);
    assert!(workers.all_gone());
}

/// Beyond the limit a hung thread is replaced when another one returns, even if that returns at the same moment.
pub fn a_thread_that_returns_makes_room_for_a_replacement() {
    check(|| {
        // How it comes to that makes no difference.
        stop_exploring();
        let threads = Arc::new(Started::default());
        let started = Arc::clone(&threads);
        let workers = Workers::start(1, HungCalls::default(), move |worker| started.hang(worker)).unwrap();
        threads.get(0).is_found_hung();
        threads.get(1).is_found_hung();
        let third = threads.get(2);
        explore();
        threads.get(0).may_return.raise();
        // As many hang as are replaced, unless the first has returned by now.
        third.is_found_hung();
        let replacement = threads.get(3);
        assert!(!workers.all_gone());
        stop_exploring();
        replacement.may_return.raise();
        threads.get(1).may_return.raise();
        third.may_return.raise();
        threads.forget();
        wait_for_end(&workers);
    });
}

/// The threads that have started.
#[derive(Default)]
struct Started {
    calls: Mutex<Vec<Call>>,
    changes: Condvar,
}

#[derive(Clone)]
struct Call {
    on_hang: OnHang,
    may_return: Arc<Flag>,
}

impl Call {
    fn is_found_hung(&self) {
        (self.on_hang)();
    }
}

impl Started {
    /// The only call of a thread: it takes as long as the model says.
    fn hang(&self, worker: &Worker) {
        let call = Call { on_hang: Arc::clone(worker.on_hang()), may_return: Arc::default() };
        self.calls.lock().unwrap().push(call.clone());
        self.changes.notify_all();
        call.may_return.wait();
    }

    /// Waits until so many others and this one have started.
    fn get(&self, index: usize) -> Call {
        let mut calls = self.calls.lock().unwrap();
        loop {
            if let Some(call) = calls.get(index) {
                return call.clone();
            }
            calls = self.changes.wait(calls).unwrap();
        }
    }

    fn forget(&self) {
        self.calls.lock().unwrap().clear();
    }
}
